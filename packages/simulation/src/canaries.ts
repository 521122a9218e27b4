/**
 * Deliberate bugs that the checkers must find: a simulation that does not find them finds nothing.
 *
 * They are put in from outside, where the world is made: into what the coordinator writes on its way to the store, into
 * the disk, or into the settings. The code that runs in production has no switch for them.
 */
import { ReplicaState, type ReplicaRecord } from '@cloudless/api'
import type { MetadataStore, Transaction, Write } from '@cloudless/metadata'
import { keyOf, putRecord, RecordDecoder } from '@cloudless/coordinator/simulation'
import type { SimulatedDisk } from './simulated-disk.ts'

export interface Canary {
  /** The checker that must find it. */
  readonly foundBy: string
  /** As if the controllers had decided so: what they write becomes this. */
  readonly rewrite?: (writes: readonly Write[], disk: SimulatedDisk) => readonly Write[]
  /** Of the coordinator's program. */
  readonly flags?: readonly string[]
  /** The disk says that it has what it has not. */
  readonly losesAcknowledgedWrites?: boolean
}

const replicaPrefix = keyOf('replica', '')

export const canaries = {
  /** A plan stops one replica more than may be spared. */
  'stops-one-too-many': {
    foundBy: 'min available',
    rewrite: (writes, disk) => [...writes, ...oneStopMore(writes, disk)],
  },
  /** A replica that was fenced is counted again when its node says that it is gone. */
  'counts-the-fenced': {
    foundBy: 'one place',
    rewrite: (writes, disk) => writes.map((write) => countedAgain(write, disk) ?? write),
  },
  /** A replica that is gone from its node stays on record. */
  'leaves-records-behind': {
    foundBy: 'convergence',
    rewrite: (writes) => writes.filter((write) => !isDeletionOfAReplica(write)),
  },
  'gives-more-than-there-is': {
    foundBy: 'capacity',
    flags: ['--scheduler-cpu-overcommit', '4', '--scheduler-memory-overcommit', '4'],
  },
  /** Settings with which a node is given up before its next heartbeat is due. */
  'gives-up-too-soon': {
    foundBy: 'no false verdict',
    flags: [
      '--membership-heartbeat-timeout',
      '100ms',
      '--membership-heartbeat-timeout-max',
      '100ms',
    ],
  },
  'forgets-what-it-stored': { foundBy: 'acknowledged writes', losesAcknowledgedWrites: true },
} satisfies Record<string, Canary>

export function canaryOf(name: string): Canary {
  const canary: Canary | undefined = (canaries as Record<string, Canary>)[name]
  if (canary) return canary
  throw new Error(`there is no canary "${name}"; there are: ${Object.keys(canaries).join(', ')}`)
}

/** The store as a coordinator with this bug would use it. */
export function rewriting(
  store: MetadataStore,
  rewrite: (writes: readonly Write[]) => readonly Write[],
): MetadataStore {
  return {
    transact: (transaction: Transaction) =>
      store.transact({ ...transaction, writes: rewrite(transaction.writes) }),
    get: (key) => store.get(key),
    list: (prefix, options) => store.list(prefix, options),
    watch: (prefix, options) => store.watch(prefix, options),
    grantLease: (ttlMs) => store.grantLease(ttlMs),
    keepLeaseAlive: (leaseId) => store.keepLeaseAlive(leaseId),
    revokeLease: (leaseId) => store.revokeLease(leaseId),
    compact: (revision) => store.compact(revision),
    status: () => store.status(),
    close: () => store.close(),
  }
}

function replicaIn(key: string, value: Uint8Array | undefined): ReplicaRecord | undefined {
  if (value === undefined || !key.startsWith(replicaPrefix)) return undefined
  return new RecordDecoder().decode('replica', key, value)
}

function oneStopMore(writes: readonly Write[], disk: SimulatedDisk): Write[] {
  const written = new Set(writes.map((write) => (write.kind === 'delete-prefix' ? '' : write.key)))
  for (const write of writes) {
    if (write.kind !== 'put') continue
    const replica = replicaIn(write.key, write.value)
    if (!replica?.stopping || replicaIn(write.key, disk.get(write.key)?.value)?.stopping) continue
    const { workloadId } = replica.status!
    for (const key of disk.keys()) {
      const other = written.has(key) ? undefined : replicaIn(key, disk.get(key)?.value)
      if (other?.status!.workloadId !== workloadId || !other.status!.ready) continue
      const status = { ...other.status!, state: ReplicaState.STOPPING, ready: false }
      const stopped = { ...other, status, stopping: true, stopReason: replica.stopReason }
      return [putRecord('replica', other.status!.id, stopped)]
    }
  }
  return []
}

function countedAgain(write: Write, disk: SimulatedDisk): Write | undefined {
  if (!isDeletionOfAReplica(write)) return undefined
  const replica = replicaIn(write.key, disk.get(write.key)?.value)
  if (!replica?.stopping || replica.stopReason !== 'fenced') return undefined
  const status = { ...replica.status!, state: ReplicaState.RUNNING }
  return putRecord('replica', status.id, { ...replica, status, stopping: false })
}

function isDeletionOfAReplica(write: Write): write is Write & { kind: 'delete' } {
  return write.kind === 'delete' && write.key.startsWith(replicaPrefix)
}
