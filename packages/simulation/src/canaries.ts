/**
 * Deliberate bugs that the checkers must find: a simulation that does not find them finds nothing.
 *
 * They are put in from outside, where the world is made: into what the coordinator writes on its way to the store, into
 * the disk, or into the settings. The code that runs in production has no switch for them.
 */
import { ReplicaState, WorkloadType, type ReplicaRecord } from '@cloudless/api'
import type { Clock } from '@cloudless/base'
import { withTransact, type MetadataStore, type Write } from '@cloudless/metadata'
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
  /** The time as the control plane is given it. */
  readonly clock?: (clock: Clock) => Clock
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
  /** Whatever its workload says of nodes that are away, a replica is replaced at once. */
  'replaces-at-once': {
    foundBy: 'replacements',
    rewrite: (writes) => writes.map((write) => replacedAtOnce(write) ?? write),
  },
  /** Nodes that vanish together are given up as if each had gone alone. */
  'holds-nothing-back': { foundBy: 'mass loss', flags: ['--membership-mass-loss-hold', '0'] },
  /** Each move is followed by another. */
  'moves-for-ever': {
    foundBy: 'calm',
    rewrite: (writes, disk) => [...writes, ...oneMoveMore(writes, disk)],
  },
  /** What is not waited for any longer stays in memory until its time is up. */
  'cancels-no-timer': { foundBy: 'bounded', clock: withoutCancelling },
  'throws-when-a-replica-is-made': {
    foundBy: 'no errors of our own',
    rewrite: (writes, disk) => {
      for (const write of writes) if (isNewReplica(write, disk)) throw new TypeError('a bug')
      return writes
    },
  },
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
  return withTransact(store, (transaction) =>
    store.transact({ ...transaction, writes: rewrite(transaction.writes) }),
  )
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
    for (const other of readyReplicasOf(workloadId, written, disk)) {
      const status = { ...other.status!, state: ReplicaState.STOPPING, ready: false }
      const stopped = { ...other, status, stopping: true, stopReason: replica.stopReason }
      return [putRecord('replica', status.id, stopped)]
    }
  }
  return []
}

/** Of those that are not written in the same transaction. */
function* readyReplicasOf(
  workloadId: string | undefined,
  written: ReadonlySet<string>,
  disk: SimulatedDisk,
): Iterable<ReplicaRecord> {
  for (const key of disk.keys()) {
    const replica = written.has(key) ? undefined : replicaIn(key, disk.get(key)?.value)
    if (replica?.status!.ready && replica.status!.workloadId === workloadId) yield replica
  }
}

function oneMoveMore(writes: readonly Write[], disk: SimulatedDisk): Write[] {
  const written = new Set(writes.map((write) => (write.kind === 'delete-prefix' ? '' : write.key)))
  for (const write of writes) {
    if (!isDeletionOfAReplica(write)) continue
    const gone = replicaIn(write.key, disk.get(write.key)?.value)
    for (const other of readyReplicasOf(gone?.status!.workloadId, written, disk)) {
      if (other.spec!.type !== WorkloadType.SERVICE) continue
      const moved = { ...other, replaceWanted: true, replaceReason: 'rebalanced' }
      return [putRecord('replica', other.status!.id, moved)]
    }
  }
  return []
}

function replacedAtOnce(write: Write): Write | undefined {
  const replica = write.kind === 'put' ? replicaIn(write.key, write.value) : undefined
  if (replica?.status!.state !== ReplicaState.LOST) return undefined
  return putRecord('replica', replica.status!.id, { ...replica, replaceAtMs: 0n })
}

function isNewReplica(write: Write, disk: SimulatedDisk): boolean {
  return (
    write.kind === 'put' && write.key.startsWith(replicaPrefix) && disk.get(write.key) === undefined
  )
}

function withoutCancelling(clock: Clock): Clock {
  return {
    monotonicMs: () => clock.monotonicMs(),
    wallMs: () => clock.wallMs(),
    after(delayMs, fire) {
      let isCancelled = false
      clock.after(delayMs, () => {
        if (!isCancelled) fire()
      })
      return () => {
        isCancelled = true
      }
    },
  }
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
