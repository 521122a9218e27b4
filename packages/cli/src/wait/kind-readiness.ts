/** When waiting for a job or a cron is over. Pure. */
import { ReplicaState, type Workload } from '@cloudless/api'
import { instant } from '../resources/format.ts'
import { replicaExplanation, replicaState } from '../resources/replica.ts'
import { workloadTitle } from '../resources/workload.ts'
import type { Readiness } from './readiness.ts'

/** A job is waited for until it is complete, or has failed. */
export function readinessOfJob(workload: Workload): Readiness {
  const { spec, status } = workload
  const { succeeded = 0, failed = 0, active = 0, outcome = '' } = status?.job ?? {}
  const completions = spec?.job?.completions || 1
  const rest = [
    ...(active > 0 ? [`${active} active`] : []),
    ...(failed > 0 ? [`${failed} failed`] : []),
  ]
  const progress = [`${succeeded} of ${completions} completions`, ...rest].join(', ')
  const summary = `${workloadTitle(workload)}: ${progress}`
  if (outcome === 'complete') return { kind: 'ready', summary, replicaLines: [] }
  const replicas = status?.replicas ?? []
  const endStates: readonly ReplicaState[] = [ReplicaState.STOPPED, ReplicaState.LOST]
  const replicaLines = replicas
    .filter(({ state }) => !endStates.includes(state))
    .map((replica) => {
      const where = replica.nodeName === '' ? '' : ` on ${replica.nodeName}`
      const why = replicaExplanation(replica)
      return `  ${replica.id}: ${replicaState(replica)}${where}${why === '' ? '' : `: ${why}`}`
    })
  if (outcome === '') return { kind: 'waiting', summary, replicaLines }
  const why = outcome === 'deadline_exceeded' ? 'its time is up' : 'its retries are used up'
  return { kind: 'failed', summary: `${summary}; ${why}`, replicaLines }
}

/** A cron is there once it is stored: what it runs are jobs of their own. */
export function readinessOfCron(workload: Workload): Readiness {
  const nextRunAtMs = workload.status?.cron?.nextRunAtMs ?? 0n
  const when = nextRunAtMs === 0n ? 'no run is due' : `the next run is at ${instant(nextRunAtMs)}`
  const words = workload.spec?.cron?.suspend ? 'suspended' : when
  return { kind: 'ready', summary: `${workloadTitle(workload)}: ${words}`, replicaLines: [] }
}
