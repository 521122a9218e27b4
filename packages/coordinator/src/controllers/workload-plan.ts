/** What is to be changed so that a workload has the replicas its spec asks for: the outcome of planning. */
import type { ReplicaRecord } from '@cloudless/api'
import { isPlaced } from './replica-facts.ts'

export interface WorkloadPlan {
  /** Replicas to make. */
  readonly create: readonly NewReplica[]
  /**
   * Replicas whose container is to be stopped, or, if it is being stopped, with less grace; they stay on record until
   * their agent says they are gone.
   */
  readonly stop: readonly { readonly replica: ReplicaRecord; readonly reason: StopReason }[]
  /** Records to delete at once: what never ran, or what cannot be reached any more. */
  readonly forget: readonly ReplicaRecord[]
  /** The workload's own record can go: it is deleted and nothing of it is left. */
  readonly finished: boolean
  /** Plan again at this time, unix milliseconds; 0: only when something changes. */
  readonly wakeAtMs: number
}

export interface NewReplica {
  /** The one it stands in for; empty when it is additional. */
  readonly replaces: string
  /** Which version of the workload it is made from. */
  readonly revision: bigint
  /** The only node it may go to; any when not given. */
  readonly boundNodeId?: string
}

/** 'finished': its job has ended; 'unwanted': its node is none for a daemon any more; 'outlived': newer history is kept. */
export type StopReason =
  | 'deleted'
  | 'scaled'
  | 'updated'
  | 'replaced'
  | 'finished'
  | 'unwanted'
  | 'outlived'

export const nothing: WorkloadPlan = {
  create: [],
  stop: [],
  forget: [],
  finished: false,
  wakeAtMs: 0,
}

/** Stops what runs and forgets what never had a place. */
export function retire(replicas: readonly ReplicaRecord[], reason: StopReason): WorkloadPlan {
  return {
    ...nothing,
    forget: replicas.filter((r) => !isPlaced(r)),
    stop: replicas
      .filter(isPlaced)
      .map((replica) => ({ replica, reason: replica.replaceWanted ? 'replaced' : reason })),
  }
}
