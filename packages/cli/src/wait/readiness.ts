/**
 * Whether a workload has arrived at what its spec asks for. Pure.
 *
 * Judged from the replicas themselves and not from the phase: right after a change the stored phase may still be that
 * of the revision before, while the replicas say which revision they run.
 */
import {
  ReplicaState,
  WorkloadPhase,
  WorkloadType,
  workloadTypeOf,
  type ReplicaStatus,
  type Workload,
} from '@cloudless/api'
import { replicaExplanation, replicaState } from '../resources/replica.ts'
import { isRollingOut, rolloutFailure, rolloutHold } from '../resources/rollout.ts'
import { workloadTitle } from '../resources/workload.ts'
import { readinessOfCron, readinessOfJob } from './kind-readiness.ts'

export interface Readiness {
  readonly kind: 'ready' | 'waiting' | 'failed'
  /** "workload web: 2 of 3 replicas ready". */
  readonly summary: string
  /** One line for each replica that is not ready, saying why. */
  readonly replicaLines: readonly string[]
}

/**
 * `workload` comes from a watch of this one workload, so that status.replicas is filled. `expected` is the revision that is
 * waited for: one that was rolled back has failed, however well the one before runs again.
 */
export function readinessOf(workload: Workload, expected: bigint = workload.revision): Readiness {
  const type = workloadTypeOf(workload.spec)
  if (type === WorkloadType.JOB) return readinessOfJob(workload)
  if (type === WorkloadType.CRON) return readinessOfCron(workload)
  const failure = rolloutFailure(workload, expected)
  if (failure !== undefined) return { kind: 'failed', summary: failure, replicaLines: [] }
  const { spec, status } = workload
  if (type !== WorkloadType.DAEMON) return readinessOfReplicas(workload, spec?.replicas ?? 0)
  // Until its nodes have been counted nothing can be said of it.
  const isCounted = status?.phase !== WorkloadPhase.PENDING
  const readiness = readinessOfReplicas(workload, status?.desiredReplicas ?? 0)
  return isCounted ? readiness : { ...readiness, kind: 'waiting' }
}

function readinessOfReplicas(workload: Workload, wanted: number): Readiness {
  const replicas = workload.status?.replicas ?? []
  const current = replicas.filter((replica) => replica.revision === workload.revision)
  const ready = current.filter(isReady)
  const outdated = replicas.filter((r) => r.revision !== workload.revision && isAlive(r))
  const surplus = current.filter(isAlive).length - wanted
  const succeeded = workload.status?.phase === WorkloadPhase.SUCCEEDED && current.length >= wanted
  const failed = current.filter((replica) => replica.state === ReplicaState.FAILED)

  const leaving = outdated.length + Math.max(0, surplus)
  const hold = rolloutHold(workload)
  const tail = `${leaving > 0 ? `, ${leaving} old still there` : ''}${hold && `; ${hold}`}`
  const summary = succeeded
    ? `${workloadTitle(workload)}: every replica has ended well`
    : `${workloadTitle(workload)}: ${Math.min(ready.length, wanted)} of ${wanted} replicas ready${tail}`
  const replicaLines = current
    .filter((replica) => !isReady(replica) && (isAlive(replica) || failed.includes(replica)))
    .map(replicaLine)

  if (succeeded || (ready.length === wanted && leaving === 0 && !isRollingOut(workload))) {
    return { kind: 'ready', summary, replicaLines: [] }
  }
  if (failed.length === 0) return { kind: 'waiting', summary, replicaLines }
  return { kind: 'failed', summary: `${summary}; a replica has given up`, replicaLines }
}

function isReady(replica: ReplicaStatus): boolean {
  return replica.state === ReplicaState.RUNNING && replica.ready
}

function isAlive({ state }: ReplicaStatus): boolean {
  const over: ReplicaState[] = [ReplicaState.STOPPED, ReplicaState.FAILED, ReplicaState.LOST]
  return !over.includes(state)
}

function replicaLine(replica: ReplicaStatus): string {
  const where = replica.nodeName === '' ? '' : ` on ${replica.nodeName}`
  const why = replicaExplanation(replica)
  return `  ${replica.id}: ${replicaState(replica)}${where}${why === '' ? '' : `: ${why}`}`
}
