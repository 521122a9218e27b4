/** Follows a world for the checkers: over every restart of the coordinator, what changed meanwhile included. */
import {
  type ClusterState,
  type RecordChange,
  type Reporter,
} from '@cloudless/coordinator/simulation'
import type { RunningCoordinator } from '../simulated-coordinator.ts'
import type { World, WorldListener } from '../world.ts'
import type { Checker, CheckerDeps, Violation } from './checker.ts'

type FollowedKind = 'node' | 'workload' | 'replica'

const followedKinds: readonly FollowedKind[] = ['workload', 'node', 'replica']

interface Known {
  readonly record: NonNullable<RecordChange['after']>
  readonly modRevision: number
}

export class Observer implements WorldListener {
  readonly violations: Violation[] = []
  readonly #world: World
  readonly #checkers: Checker[] = []
  readonly #known = new Map<string, Known>()
  #workChanges = 0

  constructor(world: World) {
    this.#world = world
    world.listen(this)
  }

  add<C extends Checker>(make: (deps: CheckerDeps) => C): C {
    const checker: C = make({
      nowMs: () => this.#world.nowMs,
      fail: (message) => this.violation(checker.name, message),
    })
    this.#checkers.push(checker)
    return checker
  }

  /** Changes so far of workloads and replicas; what is remembered of nodes changes all the time. */
  get workChanges(): number {
    return this.#workChanges
  }

  /** For what is found from outside of a checker. */
  violation(checker: string, message: string): void {
    this.#world.trace.say(`VIOLATION of ${checker}: ${message}`)
    this.violations.push({ checker, message, atMs: this.#world.nowMs })
  }

  coordinatorStarted({ state }: RunningCoordinator): void {
    const missed = this.#missed(state)
    if (missed.length > 0) this.#changed(state, missed)
    for (const checker of this.#checkers) checker.onRestart?.(state)
    state.listen((changes) => this.#changed(state, changes))
  }

  containerChanged(nodeId: string, replicaId: string, isRunning: boolean): void {
    for (const checker of this.#checkers) checker.onContainer?.(nodeId, replicaId, isRunning)
  }

  said(what: keyof Reporter, args: readonly unknown[]): void {
    for (const checker of this.#checkers) checker.onSaid?.(what, args)
  }

  #changed(state: ClusterState, changes: readonly RecordChange[]): void {
    for (const { kind, id } of changes) {
      this.#know(state, kind as FollowedKind, id)
      if (kind === 'workload' || kind === 'replica') this.#workChanges++
    }
    for (const checker of this.#checkers) checker.onChanges?.(changes, state)
  }

  #know(state: ClusterState, kind: FollowedKind, id: string): void {
    if (!followedKinds.includes(kind)) return
    const held = state.held(kind, id)
    if (held === undefined) this.#known.delete(`${kind} ${id}`)
    else this.#known.set(`${kind} ${id}`, held)
  }

  /** What a process that died had written and nobody saw. */
  #missed(state: ClusterState): RecordChange[] {
    const changes: RecordChange[] = []
    for (const kind of followedKinds) {
      for (const { id, record, modRevision } of state.all(kind)) {
        const known = this.#known.get(`${kind} ${id}`)
        if (known?.modRevision === modRevision) continue
        changes.push({ kind, id, after: record, ...(known && { before: known.record }) })
      }
    }
    for (const [key, { record }] of this.#known) {
      const [kind, id] = key.split(' ') as [FollowedKind, string]
      if (state.held(kind, id) === undefined) changes.push({ kind, id, before: record })
    }
    return changes
  }
}
