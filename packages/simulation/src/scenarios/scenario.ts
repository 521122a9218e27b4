/** For scenario tests: a world with all checkers on, whose story is told step by step. */
import assert from 'node:assert/strict'
import type { MessageInitShape } from '@bufbuild/protobuf'
import { create } from '@bufbuild/protobuf'
import { ApplyWorkloadRequestSchema, WorkloadSchema, type ReplicaStatus } from '@cloudless/api'
import { addCheckers } from '../checkers/all.ts'
import { missingFrom } from '../checkers/convergence.ts'
import { Observer } from '../checkers/observer.ts'
import { serves } from '../checkers/min-available.ts'
import type { RunningCoordinator } from '../simulated-coordinator.ts'
import type { SimulatedNode } from '../simulated-node.ts'
import { World, type NodeFacts, type WorldOptions } from '../world.ts'

type Manifest = MessageInitShape<typeof WorkloadSchema>

export class Scenario {
  readonly world: World
  /** What controllers have said, and when. */
  readonly said: { readonly what: string; readonly atMs: number }[] = []
  readonly #observer: Observer

  private constructor(options: WorldOptions) {
    this.world = new World(options)
    this.#observer = new Observer(this.world)
    addCheckers(this.world, this.#observer)
    this.world.listen({
      said: (what) => void this.said.push({ what, atMs: this.world.nowMs }),
    })
  }

  /** A coordinator and these nodes, all ready. */
  static async begin(
    nodes: readonly NodeFacts[],
    options: Partial<WorldOptions> = {},
  ): Promise<Scenario> {
    const scenario = new Scenario({ seed: 1, ...options })
    const { world } = scenario
    world.coordinator.start()
    await world.until(() => world.coordinator.running !== undefined, 10_000)
    for (const facts of nodes) await scenario.do(world.join(facts))
    await scenario.converge()
    return scenario
  }

  get coordinator(): RunningCoordinator {
    const { running } = this.world.coordinator
    assert.ok(running, 'the coordinator runs')
    return running
  }

  node(name: string): SimulatedNode {
    const node = [...this.world.nodes.values()].find((one) => one.name === name)
    assert.ok(node, `there is a node ${name}`)
    return node
  }

  /** Every replica on record, by id. */
  get replicas(): ReplicaStatus[] {
    const replicas = [...this.coordinator.state.all('replica')].map(({ record }) => record.status!)
    return replicas.sort((a, b) => (a.id < b.id ? -1 : 1))
  }

  get servingCount(): number {
    const { state } = this.coordinator
    return [...state.all('replica')].filter(({ record }) => serves(record)).length
  }

  countSaid(what: string): number {
    return this.said.filter((one) => one.what === what).length
  }

  /** Waits for an answer while time passes. */
  async do<T>(answer: Promise<T>): Promise<T> {
    let outcome: { readonly value: T } | { readonly reason: unknown } | undefined
    answer.then(
      (value) => (outcome = { value }),
      (reason: unknown) => (outcome = { reason }),
    )
    await this.world.until(() => outcome !== undefined, 60_000, 10)
    assert.ok(outcome, 'there is an answer within a minute')
    if ('value' in outcome) return outcome.value
    throw outcome.reason
  }

  async apply(workload: Manifest): Promise<void> {
    const request = create(ApplyWorkloadRequestSchema, {
      workload: create(WorkloadSchema, workload),
    })
    await this.do(this.coordinator.workloads.applyWorkload(request))
  }

  /** Lets time pass; no checker may have found anything. */
  async pass(durationMs: number): Promise<void> {
    await this.world.run(durationMs)
    assert.deepEqual(this.#observer.violations, [])
  }

  /** Until all is as its users want it. */
  async converge(withinMs = 120_000): Promise<void> {
    const hasConverged = (): boolean => missingFrom(this.world).length === 0
    await this.world.until(hasConverged, withinMs, 250)
    assert.deepEqual(missingFrom(this.world), [])
    assert.deepEqual(this.#observer.violations, [])
  }
}
