/** What the agent knows of one replica, and the vocabulary of the machine that moves it. Plain data. */
import type { Assignment } from '@cloudless/api'
import type { ErrorCode } from '@cloudless/base'

/**
 * ```
 *            pull            start           exit
 *   new --> pulling ------> starting -----> running ----> waiting (back-off) --> pulling ...
 *              |  failed       |  failed       |             |
 *              +--> waiting    +--> waiting    |             +--> succeeded | failed   (given up)
 *                                              |
 *   a stop or a new spec, from anywhere:  cancelling --> stopping --> removing --> removed
 *   a stop that leaves clients time, while it is ready:  running --> lingering --> stopping ...
 *   while the coordinator is not heard for too long:  cancelling | stopping --> new, suspended, until it says `begin`
 * ```
 */
export type Stage =
  /** Known, not begun: waits to be told (see `begin`). */
  | 'new'
  | 'pulling'
  | 'starting'
  | 'running'
  /** Nothing runs; the timer leads to the next try. */
  | 'waiting'
  /** A pull or start is in flight whose outcome is no longer wanted. */
  | 'cancelling'
  /** To be stopped when the timer is due: until then it serves the clients that have not yet heard of it. */
  | 'lingering'
  | 'stopping'
  | 'removing'
  | 'removed'
  /** Ended with exit code 0, and not to be restarted. */
  | 'succeeded'
  /** Ended, and not to be restarted. */
  | 'failed'

/** What follows once the container in the way has stopped. */
export type Aftermath = 'remove' | 'start' | 'apply-policy' | 'fail' | 'hold' | 'suspend'

/** How the last run, or the last attempt at one, ended. */
export interface RunEnd {
  /** -1 when no process ran. */
  readonly exitCode: number
  /** One CamelCase word. */
  readonly reason: string
  /** For people: no capital, no full stop. */
  readonly message: string
  /** Unix milliseconds. */
  readonly atMs: number
}

export interface ReplicaMachine {
  readonly assignment: Assignment
  readonly stage: Stage
  /** Meaningful while cancelling or stopping. */
  readonly aftermath: Aftermath
  /** Starts after the first. */
  readonly restartCount: number
  /** Runs that ended since one lasted long enough to count as stable. */
  readonly crashesInRow: number
  readonly pullFailuresInRow: number
  /** Stops and removals that failed one after another. */
  readonly cleanupFailuresInRow: number
  readonly lastEnd: RunEnd | undefined
  /** Why it waits or stops; empty while all is well. */
  readonly reason: string
  readonly message: string
  /** Empty before the first start; kept over restarts, as the address to ask for again. */
  readonly address: string
  readonly containerId: string
  /** Unix milliseconds of the start of the present run; 0 when none runs. */
  readonly startedAtMs: number
  /** The same on the monotonic clock. */
  readonly startedMonotonicMs: number
  readonly ready: boolean
  /** Undefined: the spec's. */
  readonly graceMs: number | undefined
  /** Monotonic milliseconds at which `timer` is due; undefined: no timer. */
  readonly timerAtMs: number | undefined
  /** Monotonic milliseconds of the restarts that a liveness probe asked for, within the limit's window. */
  readonly livenessRestartsAtMs: readonly number[]
  /** The container may exist in the runtime. */
  readonly containerLeft: boolean
  /** Stopped by us while the coordinator was not heard: only its word begins it again. */
  readonly suspended: boolean
}

export interface Now {
  readonly monotonicMs: number
  /** Unix milliseconds; for people only. */
  readonly wallMs: number
}

export type ReplicaEvent =
  /** Start it: assigned, or rebooted and nobody says otherwise. */
  | { readonly kind: 'begin' }
  /** The coordinator has not been heard for too long: stop it until it is. */
  | { readonly kind: 'suspend'; readonly message: string }
  /** The agent has started and found it running. */
  | {
      readonly kind: 'adopt'
      readonly address: string
      readonly startedAtMs: number
      readonly ready: boolean
    }
  | { readonly kind: 'pulled' }
  | { readonly kind: 'pull-failed'; readonly code: ErrorCode; readonly message: string }
  | { readonly kind: 'started'; readonly address: string; readonly startedAtMs: number }
  | { readonly kind: 'start-failed'; readonly code: ErrorCode; readonly message: string }
  /** The runtime confirms that the process of the present run has ended. */
  | {
      readonly kind: 'exited'
      readonly exitCode: number
      readonly oomKilled: boolean
      readonly finishedAtMs: number
    }
  /** It should be running and the runtime does not know it. */
  | { readonly kind: 'vanished' }
  | {
      readonly kind: 'stop-done'
      readonly exitCode: number | undefined
      readonly oomKilled: boolean
      readonly finishedAtMs: number
    }
  | { readonly kind: 'stop-failed'; readonly message: string }
  | { readonly kind: 'remove-done' }
  | { readonly kind: 'remove-failed'; readonly message: string }
  | { readonly kind: 'timer' }
  /** `message` says why it is not ready; empty when it is, or when nothing is known. */
  | { readonly kind: 'readiness'; readonly ready: boolean; readonly message: string }
  | {
      readonly kind: 'probe-failed'
      readonly probe: 'startup' | 'liveness'
      readonly message: string
    }
  /** What `probe-failed` said is over. */
  | { readonly kind: 'probe-recovered' }
  | { readonly kind: 'storage-exceeded'; readonly message: string }
  /** The assignment has another spec now. */
  | { readonly kind: 'replace'; readonly assignment: Assignment }
  /** By hand: stop it, and let the policy say whether it starts again. */
  | { readonly kind: 'restart'; readonly graceMs: number | undefined }
  /** `delayMs`: how long it goes on serving before. */
  | { readonly kind: 'stop'; readonly graceMs: number | undefined; readonly delayMs?: number }
  /** By hand, for a container of no workload: stop it and leave it so. */
  | { readonly kind: 'halt'; readonly graceMs: number | undefined }
  /** The runtime answers again: what waits for it need not wait longer. */
  | { readonly kind: 'runtime-available' }

export type RestartCause = 'liveness_failure' | 'manual' | 'policy'

/** At most one of pull, start, stop and remove is in flight, and each is answered by exactly one event. */
export type ReplicaEffect =
  | { readonly kind: 'pull' }
  | { readonly kind: 'cancel-pull' }
  | { readonly kind: 'start' }
  | { readonly kind: 'stop'; readonly graceMs: number }
  /** A stop is in flight: end the container within this time from now. Answered by that stop. */
  | { readonly kind: 'hurry'; readonly graceMs: number }
  | { readonly kind: 'remove' }
  /** For the metrics. */
  | { readonly kind: 'count-restart'; readonly cause: RestartCause }
  | { readonly kind: 'count-restart-refused' }

export interface ReplicaStep {
  readonly state: ReplicaMachine
  readonly effects: readonly ReplicaEffect[]
}

export const graceMsDefault = 30_000

/** A replica nobody has begun to start. */
export function newReplica(assignment: Assignment): ReplicaMachine {
  return {
    assignment,
    stage: 'new',
    aftermath: 'remove',
    restartCount: 0,
    crashesInRow: 0,
    pullFailuresInRow: 0,
    cleanupFailuresInRow: 0,
    lastEnd: undefined,
    reason: '',
    message: '',
    address: '',
    containerId: assignment.replicaId,
    startedAtMs: 0,
    startedMonotonicMs: 0,
    ready: false,
    graceMs: undefined,
    timerAtMs: undefined,
    livenessRestartsAtMs: [],
    containerLeft: false,
    suspended: false,
  }
}

/** Milliseconds between SIGTERM and SIGKILL: what the stop said, else the spec, else 30 s. */
export function graceMsOf(state: ReplicaMachine): number {
  if (state.graceMs !== undefined) return state.graceMs
  const graceMs = state.assignment.spec?.terminationGraceMs
  return graceMs === undefined ? graceMsDefault : Number(graceMs)
}
