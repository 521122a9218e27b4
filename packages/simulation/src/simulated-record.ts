/** An agent's durable record over a simulated disk: what is written is there once it was synced, and not before. */
import { between, CloudlessError, sleep, type Clock, type Random } from '@cloudless/base'
import type { AssignmentRecord, RecordedReplica } from '@cloudless/agent/simulation'
import { chance } from './random-streams.ts'

export interface RecordDisk {
  /** By replica; what is on the disk. */
  readonly records: Map<string, RecordedReplica>
  /** What is being written: a crash may or may not leave it there. */
  readonly syncing: Map<string, RecordedReplica | undefined>
  syncMsMin: number
  syncMsMax: number
  stalledUntilMs: number
  isFull: boolean
}

export function newRecordDisk(syncMsMin: number, syncMsMax: number): RecordDisk {
  const empty = { records: new Map(), syncing: new Map() }
  return { ...empty, syncMsMin, syncMsMax, stalledUntilMs: 0, isFull: false }
}

/** The process that wrote, or its machine, is gone. */
export function crashRecordDisk(disk: RecordDisk, random: Random): void {
  for (const [replicaId, record] of disk.syncing) {
    if (chance(random, 0.5)) settle(disk, replicaId, record)
  }
  disk.syncing.clear()
}

export function openSimulatedRecord(
  { clock, random }: { readonly clock: Clock; readonly random: Random },
  disk: RecordDisk,
): AssignmentRecord {
  async function write(replicaId: string, record: RecordedReplica | undefined): Promise<void> {
    disk.syncing.set(replicaId, record)
    const stallMs = Math.max(0, disk.stalledUntilMs - clock.monotonicMs())
    await sleep(clock, stallMs + between(random, disk.syncMsMin, disk.syncMsMax))
    disk.syncing.delete(replicaId)
    if (disk.isFull && record !== undefined) {
      throw new CloudlessError('resource_exhausted', 'the disk is full: nothing was written')
    }
    settle(disk, replicaId, record)
  }
  return {
    load: async () => ({ records: [...disk.records.values()], damaged: [] }),
    save: (record) => write(record.assignment.replicaId, record),
    remove: (replicaId) => write(replicaId, undefined),
  }
}

function settle(disk: RecordDisk, replicaId: string, record: RecordedReplica | undefined): void {
  if (record === undefined) disk.records.delete(replicaId)
  else disk.records.set(replicaId, record)
}
