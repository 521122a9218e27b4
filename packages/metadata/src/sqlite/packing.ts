/**
 * Transactions and their outcomes on the way between the threads: few objects, and one buffer for all values, because
 * each object and each buffer of a message is copied by itself, twice, and a transaction has a thousand of them.
 *
 * The outcome does not bring back what the asking side still has: only which revisions came of it.
 */
import { assert } from '@cloudless/base'
import type { Change, Precondition, Transaction, Write } from '../store.ts'
import type {
  CommitReply,
  Operation,
  Outcome,
  PackedOperation,
  PackedOutcome,
  PackedReply,
  PackedTransaction,
} from './messages.ts'

const preconditionKinds = ['absent', 'exists', 'unchanged'] as const
const writeKinds = ['put', 'delete', 'delete-prefix'] as const

/** Ours to keep, whatever becomes of the caller's; its values lie in one buffer, which `packOperation` sends as it is. */
export function copyOf({ preconditions = [], writes }: Transaction): Required<Transaction> {
  let bytes = 0
  for (const write of writes) if (write.kind === 'put') bytes += write.value.byteLength
  const values = new Uint8Array(bytes)
  let at = 0
  const copied = writes.map((write): Write => {
    if (write.kind === 'delete') return { kind: 'delete', key: write.key }
    if (write.kind === 'delete-prefix') return { kind: 'delete-prefix', prefix: write.prefix }
    const value = values.subarray(at, at + write.value.byteLength)
    value.set(write.value)
    at += value.byteLength
    const { key, leaseId } = write
    return leaseId === undefined
      ? { kind: 'put', key, value }
      : { kind: 'put', key, value, leaseId }
  })
  return { preconditions: preconditions.map((one) => ({ ...one })), writes: copied }
}

export function packOperation(operation: Operation): PackedOperation {
  if (operation.kind !== 'transact') return operation
  return { kind: 'transact', packed: packTransaction(operation.transaction) }
}

export function unpackOperation(operation: PackedOperation): Operation {
  if (operation.kind !== 'transact') return operation
  return { kind: 'transact', transaction: unpackTransaction(operation.packed) }
}

function packTransaction({ preconditions = [], writes }: Transaction): PackedTransaction {
  const puts = writes.filter((write) => write.kind === 'put')
  const first = puts[0]?.value
  const leaseIds = puts.map(({ leaseId }) => leaseId)
  return {
    preconditionKinds: Uint8Array.from(preconditions, ({ kind }) =>
      preconditionKinds.indexOf(kind),
    ),
    preconditionKeys: preconditions.map(({ key }) => key),
    modRevisions: Float64Array.from(preconditions, (one) =>
      one.kind === 'unchanged' ? one.modRevision : 0,
    ),
    writeKinds: Uint8Array.from(writes, ({ kind }) => writeKinds.indexOf(kind)),
    writeKeys: writes.map((write) => (write.kind === 'delete-prefix' ? write.prefix : write.key)),
    // Copied together by copyOf: the buffer of one is the buffer of all.
    values: first ? new Uint8Array(first.buffer) : new Uint8Array(),
    valueBytes: Uint32Array.from(puts, ({ value }) => value.byteLength),
    leaseIds: leaseIds.some((leaseId) => leaseId !== undefined) ? leaseIds : undefined,
  }
}

function unpackTransaction(packed: PackedTransaction): Required<Transaction> {
  const preconditions = packed.preconditionKeys.map((key, n): Precondition => {
    const kind = preconditionKinds[packed.preconditionKinds[n]!]!
    return kind === 'unchanged'
      ? { kind, key, modRevision: packed.modRevisions[n]! }
      : { kind, key }
  })
  let at = 0
  let puts = 0
  const writes = packed.writeKeys.map((key, n): Write => {
    const kind = writeKinds[packed.writeKinds[n]!]!
    if (kind === 'delete') return { kind, key }
    if (kind === 'delete-prefix') return { kind, prefix: key }
    const value = packed.values.subarray(at, at + packed.valueBytes[puts]!)
    const leaseId = packed.leaseIds?.[puts]
    at += value.byteLength
    puts++
    return leaseId === undefined ? { kind, key, value } : { kind, key, value, leaseId }
  })
  return { preconditions, writes }
}

export function packReply({ outcomes, ...reply }: CommitReply): PackedReply {
  return { ...reply, outcomes: outcomes.map(packOutcome) }
}

/** `operations` are those that were asked for, in order. */
export function unpackReply(operations: readonly Operation[], packed: PackedReply): CommitReply {
  const { outcomes, ...reply } = packed
  return {
    ...reply,
    outcomes: outcomes.map((outcome, n) => unpackOutcome(operations[n]!, outcome)),
  }
}

function packOutcome(outcome: Outcome): PackedOutcome {
  if (outcome.kind !== 'done') return outcome
  const createRevisions: number[] = []
  const deletedKeys: string[] = []
  for (const change of outcome.changes) {
    if (change.kind === 'put') createRevisions.push(change.entry.createRevision)
    else deletedKeys.push(change.key)
  }
  const { kind, revision } = outcome
  return { kind, revision, createRevisions: Float64Array.from(createRevisions), deletedKeys }
}

/** The changes in the order of the writes: a key is written once in a transaction, so each deletion finds its write. */
function unpackOutcome(operation: Operation, packed: PackedOutcome): Outcome {
  if (packed.kind !== 'done') return packed
  const { kind, revision, createRevisions, deletedKeys } = packed
  const writes = operation.kind === 'transact' ? operation.transaction.writes : []
  const changes: Change[] = []
  let [puts, deletions] = [0, 0]
  const takeDeleted = (isMeant: (key: string) => boolean): void => {
    for (; deletions < deletedKeys.length && isMeant(deletedKeys[deletions]!); deletions++) {
      changes.push({ kind: 'delete', key: deletedKeys[deletions]!, modRevision: revision })
    }
  }
  for (const write of writes) {
    if (write.kind === 'delete') takeDeleted((key) => key === write.key)
    else if (write.kind === 'delete-prefix') takeDeleted((key) => key.startsWith(write.prefix))
    else {
      const { key, value } = write
      const createRevision = createRevisions[puts++]!
      changes.push({ kind: 'put', entry: { key, value, createRevision, modRevision: revision } })
    }
  }
  if (operation.kind === 'revoke-lease') takeDeleted(() => true)
  assert(deletions === deletedKeys.length, 'a deletion has no write that asked for it')
  return { kind, revision, changes }
}
