/**
 * The life of one seed: a cluster comes up, everything that the seed drew happens to it for a while, then all of it heals,
 * and the cluster must come to what its users want and stay there. The checkers look at every step of it.
 */
import { assert } from '@cloudless/base'
import type { Canary } from './canaries.ts'
import { Chaos } from './chaos/chaos.ts'
import type { FaultKind } from './chaos/faults.ts'
import { apply, deleteForGood, type OperationKind } from './chaos/operations.ts'
import type { ProcessClock } from './process-clock.ts'
import { drawPlan, type SeedPlan } from './chaos/seed-plan.ts'
import { addCheckers } from './checkers/all.ts'
import { leftBehindBy, unboundedIn } from './checkers/bounded.ts'
import type { Violation } from './checkers/checker.ts'
import { missingFrom } from './checkers/convergence.ts'
import { Observer } from './checkers/observer.ts'
import { World } from './world.ts'

export interface SeedOptions {
  /** A bug to be found. */
  readonly canary?: Canary | undefined
  readonly write?: (line: string) => void
}

export interface SeedResult {
  readonly seed: number
  /** Of the cluster's time. */
  readonly simulatedMs: number
  readonly events: number
  readonly done: ReadonlyMap<FaultKind | OperationKind, number>
  readonly violations: readonly Violation[]
  readonly fingerprint: string
}

const minuteMs = 60_000
/** From the moment everything is mended; what waits longest is an image that could not be pulled and a long crash loop. */
const convergenceMsMax = 30 * minuteMs
const goodLink = { delayMs: 1, jitterMs: 1, lossShare: 0 }
/** It stays so. */
const calmMs = 3 * minuteMs

export async function runSeed(seed: number, options: SeedOptions = {}): Promise<SeedResult> {
  const plan = drawPlan(seed)
  const { write, canary } = options
  const world = new World({ ...plan, canary, ...(write && { write }) })
  const observer = new Observer(world)
  const acknowledged = addCheckers(world, observer)
  const chaos = new Chaos({ world, observer, acknowledged }, plan)
  const life = new Life(world, observer, chaos)
  await life.live(plan)
  return {
    seed,
    simulatedMs: world.nowMs,
    events: world.eventCount,
    done: chaos.done,
    violations: observer.violations,
    fingerprint: world.trace.fingerprint,
  }
}

class Life {
  readonly #world: World
  readonly #observer: Observer
  readonly #chaos: Chaos

  constructor(world: World, observer: Observer, chaos: Chaos) {
    this.#world = world
    this.#observer = observer
    this.#chaos = chaos
  }

  async live(plan: SeedPlan): Promise<void> {
    await this.#begin(plan)
    this.#chaos.start()
    await this.#pass(plan.chaosMs)
    if (!this.#isWell) return
    this.#world.trace.say('everything heals')
    this.#chaos.stop()
    for (const { link } of this.#world.nodes.values()) link.quality = goodLink
    await this.#pass(5 * minuteMs)
    await this.#calmDown()
    await this.#converge()
    await this.#close()
  }

  get #isWell(): boolean {
    return this.#observer.violations.length === 0
  }

  /** In steps, so that a run ends soon after something was found. */
  async #pass(durationMs: number): Promise<void> {
    const untilMs = this.#world.nowMs + durationMs
    while (this.#isWell && this.#world.nowMs < untilMs) {
      await this.#world.run(Math.min(10_000, untilMs - this.#world.nowMs))
      this.#demand('bounded', unboundedIn(this.#world))
    }
  }

  async #begin({ nodes, workloads }: SeedPlan): Promise<void> {
    const world = this.#world
    world.coordinator.start()
    const isUp = await world.until(() => world.coordinator.running !== undefined, minuteMs)
    assert(isUp, 'an undisturbed coordinator starts')
    for (const facts of nodes) void world.join(facts)
    await this.#pass(5_000)
    for (const planned of workloads) void apply(this.#chaos, planned)
    await this.#pass(minuteMs)
  }

  /** Its users want nothing any more that cannot be: images that never get ready are replaced by one that does. */
  async #calmDown(): Promise<void> {
    for (const planned of this.#chaos.plan.workloads) {
      // What comes again and again would never rest; a job ends one way or the other.
      if (planned.type === 'cron') deleteForGood(this.#chaos, planned.name)
      if (planned.type === 'cron' || planned.type === 'job') continue
      const present = this.#chaos.workloads.get(planned.name) ?? planned
      const version = present.version + 1
      void apply(this.#chaos, { ...present, behaviour: 'steady', version, bakeMs: 20_000 })
    }
    await this.#pass(1_000)
  }

  async #converge(): Promise<void> {
    const world = this.#world
    const untilMs = world.nowMs + convergenceMsMax
    while (this.#isWell && missingFrom(world).length > 0 && world.nowMs < untilMs) {
      await world.run(1_000)
    }
    if (!this.#isWell) return
    this.#demand('convergence', missingFrom(world))
    await this.#calm(untilMs)
    this.#demand('calm', missingFrom(world))
  }

  /** Work that is moved for balance comes to an end. */
  async #calm(untilMs: number): Promise<void> {
    for (;;) {
      const before = this.#observer.workChanges
      await this.#pass(calmMs)
      const changed = this.#observer.workChanges - before
      if (changed === 0 || !this.#isWell) return
      if (this.#world.nowMs < untilMs) continue
      return this.#demand('calm', [`${changed} changes though nothing happened`])
    }
  }

  /** Everything ends in order and leaves nothing behind. */
  async #close(): Promise<void> {
    const { nodes, coordinator } = this.#world
    const agents = [...nodes.values()].flatMap(({ agent, name }) =>
      agent ? [{ agent, name }] : [],
    )
    for (const node of nodes.values()) void node.stopAgent()
    await this.#pass(minuteMs)
    let process: ProcessClock | undefined
    void coordinator.stop().then((clock) => (process = clock))
    await this.#pass(2 * minuteMs)
    const left = agents.flatMap(({ agent, name }) => leftBehindBy(`${name}'s agent`, agent.clock))
    this.#demand('bounded', [...left, ...leftBehindBy('the coordinator', process)])
    this.#demand('bounded', process ? [] : ['the coordinator does not close'])
  }

  #demand(what: string, missing: readonly string[]): void {
    if (this.#isWell && missing.length > 0) this.#observer.violation(what, missing.join('; '))
  }
}
