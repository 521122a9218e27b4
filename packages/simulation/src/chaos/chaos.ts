/** Who does things to a world: the faults and the users of one seed, until it is told to stop. */
import { assert, CloudlessError, type ErrorCode, type Random } from '@cloudless/base'
import type { Acknowledged } from '../checkers/acknowledged.ts'
import type { Observer } from '../checkers/observer.ts'
import { forkRandom, waitMs } from '../random-streams.ts'
import type { RunningCoordinator } from '../simulated-coordinator.ts'
import type { SimulatedNode } from '../simulated-node.ts'
import type { World } from '../world.ts'
import { faults, type FaultKind } from './faults.ts'
import { operations, type OperationKind } from './operations.ts'
import type { SeedPlan } from './seed-plan.ts'
import type { PlannedWorkload } from './workload-draws.ts'

export interface ChaosDeps {
  readonly world: World
  readonly observer: Observer
  readonly acknowledged: Acknowledged
}

/** What a user may be refused with for no fault of the coordinator's. */
const refusals: readonly ErrorCode[] = [
  ...(['unavailable', 'resource_exhausted', 'conflict', 'deadline_exceeded'] as const),
  ...(['not_found', 'already_exists', 'failed_precondition'] as const),
]

const callMsMax = 60_000
/** Between two tries of a user who wants it. */
const insistMs = 5_000

export class Chaos {
  readonly plan: SeedPlan
  readonly world: World
  readonly random: Random
  readonly acknowledged: Acknowledged
  /** As their users last wanted them; by name. */
  readonly workloads = new Map<string, PlannedWorkload>()
  /** How often each thing was done. */
  readonly done = new Map<FaultKind | OperationKind, number>()
  readonly #observer: Observer
  /** What is broken now, and how it is mended. */
  readonly #mends = new Set<() => void>()
  #stopped = false
  #names: number

  constructor({ world, observer, acknowledged }: ChaosDeps, plan: SeedPlan) {
    this.plan = plan
    this.world = world
    this.random = forkRandom(world.random)
    this.acknowledged = acknowledged
    this.#observer = observer
    this.#names = plan.nodes.length
  }

  start(): void {
    for (const [kind, meanMs] of this.plan.faults) {
      this.#repeat(kind, meanMs, () => faults[kind](this))
    }
    for (const [kind, meanMs] of this.plan.operations) {
      this.#repeat(kind, meanMs, () => operations[kind](this))
    }
  }

  /** Nothing more is done, and what is broken is mended. */
  stop(): void {
    this.#stopped = true
    for (const mend of this.#mends) mend()
  }

  /** Something is broken for a while, or until everything is mended. `mend` is called once. */
  breakFor(durationMs: number, mend: () => void): void {
    const cancel = this.world.clock.after(durationMs, () => once())
    const once = (): void => {
      cancel()
      if (this.#mends.delete(once)) mend()
    }
    this.#mends.add(once)
  }

  say(line: string): void {
    this.world.trace.say(line)
  }

  newName(prefix: string): string {
    return `${prefix}${++this.#names}`
  }

  get memberCount(): number {
    return [...this.world.nodes.values()].filter((node) => !node.hasLeft).length
  }

  anyNode(): SimulatedNode | undefined {
    const nodes = [...this.world.nodes.values()].filter((node) => !node.hasLeft)
    return nodes[Math.floor(this.random.next() * nodes.length)]
  }

  /** As a user's call that is repeated until it was answered. */
  insist(what: string, act: (running: RunningCoordinator) => Promise<unknown>): void {
    const attempt = async (): Promise<void> => {
      const answer = await this.call(what, act)
      if (answer === undefined) this.world.clock.after(insistMs, () => void attempt())
    }
    void attempt()
  }

  /** A user's call; what it is answered with, undefined when it was not or was refused. */
  async call<T>(
    what: string,
    act: (running: RunningCoordinator) => Promise<T>,
  ): Promise<T | undefined> {
    const { running } = this.world.coordinator
    if (running === undefined) return undefined
    this.say(`user: ${what}`)
    try {
      return await Promise.race([act(running), this.#givesUp()])
    } catch (reason) {
      const isRefusal = reason instanceof CloudlessError && refusals.includes(reason.code)
      if (!isRefusal) this.#observer.violation('user calls', `${what}: ${String(reason)}`)
      else this.say(`user: ${what}: ${reason.code}: ${reason.message}`)
      return undefined
    }
  }

  /** Of a user whose coordinator has died, and who is not told. */
  #givesUp(): Promise<undefined> {
    return new Promise((resolve) => {
      this.world.clock.after(callMsMax, () => resolve(undefined))
    })
  }

  #repeat(kind: FaultKind | OperationKind, meanMs: number, act: () => unknown): void {
    this.world.clock.after(waitMs(this.random, meanMs), () => {
      if (this.#stopped) return
      this.done.set(kind, (this.done.get(kind) ?? 0) + 1)
      const result = act()
      if (result instanceof Promise) result.catch((reason: unknown) => this.#broken(kind, reason))
      this.#repeat(kind, meanMs, act)
    })
  }

  #broken(kind: string, reason: unknown): void {
    assert(reason !== undefined, 'it failed with something')
    const said = reason instanceof Error ? (reason.stack ?? reason.message) : String(reason)
    this.#observer.violation('the simulation itself', `${kind}: ${said}`)
  }
}
