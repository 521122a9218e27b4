/** Who says how many replicas there are: whoever changes the workload, or the autoscaler. Pure. */
import { withinAutoscaling, type Workload, type WorkloadRecord } from '@cloudless/api'
import { CloudlessError } from '@cloudless/base'

/**
 * What is stored when `after` is asked for in place of `before`. With autoscaling the number of replicas is the
 * autoscaler's: the one on record stays, within the limits asked for, also when autoscaling is only now asked for. Without,
 * the number asked for counts: so it does once autoscaling is taken away.
 */
export function withReplicasKept(before: Workload, after: Workload): Workload {
  if (!after.spec!.autoscaling) return after
  const replicas = withinAutoscaling(after.spec!, before.spec!.replicas)
  return { ...after, spec: { ...after.spec!, replicas } }
}

/** A record without what only an autoscaler needs, when its workload has none. */
export function withoutIdleAutoscaling(record: WorkloadRecord): WorkloadRecord {
  if (record.workload!.spec!.autoscaling) return record
  const { autoscaling: _, ...rest } = record
  return { ...rest, recommendations: [] }
}

/** A number given by hand would be gone with the next look: what to change instead. */
export function requireScaledByHand({ name, spec }: Workload): void {
  const { autoscaling } = spec!
  if (!autoscaling) return
  const { minReplicas, maxReplicas } = autoscaling
  throw new CloudlessError(
    'failed_precondition',
    `workload "${name}" is autoscaled between ${minReplicas} and ${maxReplicas} replicas: change the limits ` +
      `(cloudlessctl workload autoscale ${name} --min N --max N), or end it (... --off) and scale by hand`,
  )
}
