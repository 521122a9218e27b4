/**
 * What is looked at after every step of a simulated world. Each invariant is a module of its own; a checker says what it
 * saw and the run ends there.
 */
import type { ClusterState, RecordChange, Reporter } from '@cloudless/coordinator/simulation'

/** The records as they are now. */
export type Picture = Pick<
  ClusterState,
  'get' | 'held' | 'all' | 'replicasOnNode' | 'replicasOfWorkload'
>

export interface Checker {
  readonly name: string
  /** Records changed, in the store's order; the picture shows what is after all of them. */
  onChanges?(changes: readonly RecordChange[], picture: Picture): void
  /** The coordinator has started again; what changed since it was last there was told before. */
  onRestart?(picture: Picture): void
  onContainer?(nodeId: string, replicaId: string, isRunning: boolean): void
  onSaid?(what: keyof Reporter, args: readonly unknown[]): void
}

export interface Violation {
  readonly checker: string
  readonly message: string
  readonly atMs: number
}

/** What a checker calls when its invariant does not hold. */
export type Fail = (message: string) => void

export interface CheckerDeps {
  readonly fail: Fail
  readonly nowMs: () => number
}
