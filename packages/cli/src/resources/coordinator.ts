import { CoordinatorSchema, type Coordinator } from '@cloudless/api'
import { age, bytes, orDash } from './format.ts'
import type { Resource } from './resource.ts'

/** "leader", "follower" or "joining": whether it decides, could, or cannot yet. */
export function coordinatorRole({ isLeader, raft, problem }: Coordinator): string {
  if (isLeader) return 'leader'
  if (raft === undefined && problem !== '') return 'unknown'
  return raft?.member?.isLearner ? 'joining' : 'follower'
}

/** "ok", or what an operator should look at first. */
export function coordinatorHealth({ problem }: Coordinator): string {
  return problem === '' ? 'ok' : problem
}

export const coordinatorResource: Resource<typeof CoordinatorSchema> = {
  singular: 'coordinator',
  plural: 'coordinators',
  schema: CoordinatorSchema,
  nameOf: ({ id }) => id,
  columns: [
    { title: 'COORDINATOR', value: ({ id }) => id },
    { title: 'ROLE', value: coordinatorRole },
    { title: 'ADDRESS', value: ({ addresses }) => orDash(addresses.join(',')) },
    { title: 'RAFT', value: ({ raft }) => orDash(raft?.member?.raftAddress ?? '') },
    { title: 'DATABASE', value: ({ raft }) => (raft ? bytes(raft.databaseBytes) : '-') },
    {
      title: 'AGE',
      value: ({ startedAtMs }, nowMs) => (startedAtMs > 0n ? age(startedAtMs, nowMs) : '-'),
    },
    { title: 'HEALTH', value: coordinatorHealth },
    { title: 'VERSION', wide: true, value: ({ version }) => orDash(version) },
    { title: 'RAFT LEADER', wide: true, value: ({ raft }) => (raft?.isLeader ? 'yes' : 'no') },
    { title: 'TERM', wide: true, value: ({ raft }) => String(raft?.term ?? '-') },
    { title: 'INDEX', wide: true, value: ({ raft }) => String(raft?.appliedIndex ?? '-') },
    {
      title: 'TIMERS',
      wide: true,
      value: ({ raft }) => (raft ? `${raft.heartbeatMs}/${raft.electionTimeoutMs}ms` : '-'),
    },
    { title: 'ETCD', wide: true, value: ({ raft }) => orDash(raft?.engineVersion ?? '') },
  ],
}
