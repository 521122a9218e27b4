/** A coordinator as it says of itself. */
import { create } from '@bufbuild/protobuf'
import {
  CoordinatorSchema,
  RaftStatusSchema,
  type Coordinator,
  type RaftStatus,
} from '@cloudless/api'
import { formatBytes, version, type Clock } from '@cloudless/base'
import type { EtcdMember } from '@cloudless/metadata'

export interface DescribedCoordinator {
  readonly id: string
  readonly clusterId: string
  readonly addresses: readonly string[]
  readonly startedAtMs: number
  readonly isLeader: () => boolean
  /** "host:port" of its RAFT member. */
  readonly raft: { readonly member: EtcdMember; readonly address: string } | undefined
}

/** Older than this, what is known of the member does not count. */
const staleMs = 10_000
const diskFreeBytesMin = 256 * 1024 * 1024

export function describeCoordinator(
  { clock }: { readonly clock: Clock },
  { id, clusterId, addresses, startedAtMs, isLeader, raft }: DescribedCoordinator,
): Coordinator {
  return create(CoordinatorSchema, {
    id,
    clusterId,
    addresses: [...addresses],
    version,
    startedAtMs: BigInt(startedAtMs),
    isLeader: isLeader(),
    problem: raft === undefined ? '' : problemOf(raft.member, clock.wallMs()),
    ...(raft && { raft: raftStatusOf(id, raft) }),
  })
}

function raftStatusOf(
  coordinatorId: string,
  { member, address }: NonNullable<DescribedCoordinator['raft']>,
): RaftStatus {
  const status = member.status()
  return create(RaftStatusSchema, {
    member: {
      id: status.memberId,
      coordinatorId,
      raftAddress: address,
      isLearner: status.isLearner,
    },
    isLeader: status.leaderId === status.memberId,
    term: BigInt(status.raftTerm),
    commitIndex: BigInt(status.raftIndex),
    appliedIndex: BigInt(status.raftAppliedIndex),
    databaseBytes: BigInt(status.databaseBytes),
    databaseBytesUsed: BigInt(status.databaseBytesInUse),
    alarms: [...new Set(status.alarms.map(({ kind }) => kind))],
    engineVersion: status.version,
    heartbeatMs: member.timers.heartbeatMs,
    electionTimeoutMs: member.timers.electionMs,
  })
}

/** The first thing that an operator should look at. */
function problemOf(member: EtcdMember, nowMs: number): string {
  const { state } = member
  if (state.kind !== 'running') return `its etcd does not run: it is ${state.kind}`
  const { alarms, leaderId, diskFreeBytes, observedMs } = member.status()
  if (nowMs - observedMs > staleMs) return 'its etcd does not answer'
  const [alarm] = alarms
  if (alarm !== undefined) return `etcd has raised the alarm ${alarm.kind}`
  if (leaderId === undefined)
    return 'its etcd knows no leader: too few of the members reach each other'
  if (diskFreeBytes < diskFreeBytesMin)
    return `its disk has only ${formatBytes(diskFreeBytes)} left`
  return ''
}
