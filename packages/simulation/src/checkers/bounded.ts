/** Invariant 6: nothing grows without a limit, and nothing is left behind by a process that has closed. */
import { WorkloadType } from '@cloudless/api'
import type { ProcessClock } from '../process-clock.ts'
import type { World } from '../world.ts'

/** Half-open connections are given up by the agent in a few seconds each; the peer may believe in them for longer. */
const connectionsPerNodeMax = 500
/** Timers of all processes together, for each node and for each replica on record. */
const timersPerThingMax = 60
const replicasPerWantedMax = 4
const replicasExtraMax = 40
/** Of a daemon, or of a job with the attempts that are kept. */
const replicasOfOthersMax = 30

/** What has grown beyond its limit. */
export function unboundedIn(world: World): string[] {
  const problems: string[] = []
  for (const { name, connectionCount } of world.nodes.values()) {
    if (connectionCount <= connectionsPerNodeMax) continue
    problems.push(`${name} has ${connectionCount} connections open`)
  }
  const state = world.coordinator.running?.state
  if (state === undefined) return problems
  let wanted = 0
  for (const { record } of state.all('workload')) {
    const { type, replicas } = record.workload!.spec!
    wanted += type === WorkloadType.SERVICE ? replicas : replicasOfOthersMax
  }
  const replicas = [...state.all('replica')].length
  if (replicas > replicasPerWantedMax * wanted + replicasExtraMax) {
    problems.push(`${replicas} replicas are on record, and ${wanted} are wanted`)
  }
  const { timerCount } = world.clock
  if (timerCount > timersPerThingMax * (world.nodes.size + replicas + 10)) {
    problems.push(`${timerCount} timers are set`)
  }
  return problems
}

/** What a process that has closed in order still waits for; looked at when its last short timers are over. */
export function leftBehindBy(whose: string, clock: ProcessClock | undefined): string[] {
  const count = clock?.pendingCount ?? 0
  return count === 0 ? [] : [`${whose} has closed and still waits for ${count} things`]
}
