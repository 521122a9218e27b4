/** Who leads, as the metadata store says it. The key's newest write is the number of the term: it only grows. */
import type { Change, Entry } from '@cloudless/metadata'

export const leadershipPrefix = 'leadership/'
/** Goes with the lease of the coordinator that leads. */
export const leaderKey = `${leadershipPrefix}leader`
/** Who is to lead next, by the will of the one that leaves; goes with a short lease. */
export const successorKey = `${leadershipPrefix}successor`

export interface LeaderRecord {
  /** The coordinator's id. */
  readonly id: string
  /** "host:port" where agents, operators and other coordinators reach it. */
  readonly addresses: readonly string[]
  /** Another one for each attempt to lead: tells whether a write of unknown outcome was ours. */
  readonly attempt: string
}

export interface KnownLeader extends Omit<LeaderRecord, 'attempt'> {
  /** Number of its term. */
  readonly term: number
}

/** What the keys of the prefix say together. */
export interface LeadershipView {
  readonly leader?: KnownLeader
  readonly successorId?: string
}

export function encodeLeader(record: LeaderRecord): Uint8Array {
  return Buffer.from(JSON.stringify({ version: 1, ...record }))
}

export function decodeLeader(value: Uint8Array): LeaderRecord {
  const { id, addresses, attempt } = JSON.parse(Buffer.from(value).toString()) as LeaderRecord
  return { id, addresses, attempt }
}

export function withEntry(
  view: LeadershipView,
  { key, value, modRevision }: Entry,
): LeadershipView {
  if (key === successorKey) return { ...view, successorId: Buffer.from(value).toString() }
  if (key !== leaderKey) return view
  const { id, addresses } = decodeLeader(value)
  return { ...view, leader: { id, addresses, term: modRevision } }
}

export function withChange(view: LeadershipView, change: Change): LeadershipView {
  if (change.kind === 'put') return withEntry(view, change.entry)
  const { leader, successorId } = view
  if (change.key === successorKey) return leader ? { leader } : {}
  if (change.key === leaderKey) return successorId === undefined ? {} : { successorId }
  return view
}
