/** How a member is, asked of itself. */
import { statfs } from 'node:fs/promises'
import type { CallOptions, MemberClients } from '../members.ts'
import { parseAlarms, type Alarm } from './alarms.ts'

export interface MemberStatus {
  /** Lower-case hex, as are all ids of members. */
  readonly memberId: string
  readonly clusterId: string
  readonly version: string
  /** It has all data and does not vote yet. */
  readonly isLearner: boolean
  /** Undefined while there is none. */
  readonly leaderId: string | undefined
  readonly raftTerm: number
  readonly raftIndex: number
  readonly raftAppliedIndex: number
  readonly databaseBytes: number
  readonly databaseBytesInUse: number
  /** Raised in the whole cluster. */
  readonly alarms: readonly Alarm[]
  /** Where the data directory is. */
  readonly diskFreeBytes: number
  /** Unix milliseconds: when it last answered. */
  readonly observedMs: number
}

export async function askStatus(
  { maintenance }: MemberClients,
  call: CallOptions,
): Promise<Omit<MemberStatus, 'diskFreeBytes' | 'observedMs'>> {
  const answer = await maintenance.status({}, call)
  const { memberId, clusterId } = answer.header!
  return {
    memberId: idOf(memberId),
    clusterId: idOf(clusterId),
    version: answer.version,
    isLearner: answer.isLearner,
    leaderId: answer.leader === 0n ? undefined : idOf(answer.leader),
    raftTerm: Number(answer.raftTerm),
    raftIndex: Number(answer.raftIndex),
    raftAppliedIndex: Number(answer.raftAppliedIndex),
    databaseBytes: Number(answer.dbSize),
    databaseBytesInUse: Number(answer.dbSizeInUse),
    alarms: parseAlarms(answer.errors),
  }
}

export async function freeBytesAt(directory: string): Promise<number> {
  const { bavail, bsize } = await statfs(directory)
  return bavail * bsize
}

/** As etcd prints them. */
export function idOf(id: bigint): string {
  return id.toString(16)
}
