/** Transactions of the store's contract as etcd's, and back. Pure. */
import type { MessageInitShape } from '@bufbuild/protobuf'
import { assert } from '@cloudless/base'
import type { KeyValue } from '../gen/etcd/mvcc/mvccpb/kv_pb.ts'
import {
  Compare_CompareResult,
  Compare_CompareTarget,
  type CompareSchema,
  type RequestOpSchema,
  type TxnRequestSchema,
  type TxnResponse,
} from '../gen/etcd/etcdserver/etcdserverpb/rpc_pb.ts'
import { endOfPrefix } from '../rules.ts'
import type { Entry, Precondition, Transaction, TransactionResult, Write } from '../store.ts'

type TxnRequest = MessageInitShape<typeof TxnRequestSchema>
type Compare = MessageInitShape<typeof CompareSchema>
type RequestOp = MessageInitShape<typeof RequestOpSchema>

const encoder = new TextEncoder()
const decoder = new TextDecoder()

export function bytesOfKey(key: string): Uint8Array {
  return encoder.encode(key)
}

export function keyOfBytes(bytes: Uint8Array): string {
  return decoder.decode(bytes)
}

/** All keys that start with the prefix, or only those after one of them. Of etcd: a zero byte as the end is no end. */
export function rangeOf(prefix: string, afterKey = ''): { key: Uint8Array; rangeEnd: Uint8Array } {
  const first = afterKey >= prefix && afterKey !== '' ? `${afterKey}\0` : prefix
  return {
    key: bytesOfKey(first === '' ? '\0' : first),
    rangeEnd: prefix === '' ? Uint8Array.of(0) : bytesOfKey(endOfPrefix(prefix)),
  }
}

/** Several become one whose parts are transactions themselves. They must not see each other: commit-together.ts. */
export function requestOfAll(transactions: readonly Transaction[]): TxnRequest {
  if (transactions.length === 1) return requestOf(transactions[0]!)
  return {
    success: transactions.map((transaction) => ({
      request: { case: 'requestTxn', value: requestOf(transaction) },
    })),
  }
}

export function resultsOfAll(
  transactions: readonly Transaction[],
  answer: TxnResponse,
): TransactionResult[] {
  const revision = Number(answer.header!.revision)
  if (transactions.length === 1) return [resultOf(transactions[0]!, answer, revision)]
  return transactions.map((transaction, n) => {
    const { response } = answer.responses[n]!
    assert(response.case === 'responseTxn', 'each transaction is answered with its own outcome')
    return resultOf(transaction, response.value, revision)
  })
}

/** When it is refused, it brings back what stood in the way. */
function requestOf({ preconditions = [], writes }: Transaction): TxnRequest {
  return {
    compare: preconditions.map(compareOf),
    success: writes.map(operationOf),
    failure: preconditions.map(({ key }) => ({
      request: { case: 'requestRange', value: { key: bytesOfKey(key), keysOnly: true } },
    })),
  }
}

function resultOf(
  { preconditions = [] }: Transaction,
  { succeeded, responses }: TxnResponse,
  revision: number,
): TransactionResult {
  if (succeeded) return { kind: 'committed', revision }
  const failed = preconditions.find((precondition, n) => {
    const { response } = responses[n]!
    assert(response.case === 'responseRange', 'each precondition is answered with its key')
    return !holds(precondition, response.value.kvs[0])
  })
  assert(failed !== undefined, 'what was refused names why')
  return { kind: 'refused', revision, failed }
}

export function entryOf({ key, value, createRevision, modRevision }: KeyValue): Entry {
  return {
    key: keyOfBytes(key),
    value,
    createRevision: Number(createRevision),
    modRevision: Number(modRevision),
  }
}

function holds(precondition: Precondition, found: KeyValue | undefined): boolean {
  switch (precondition.kind) {
    case 'absent':
      return found === undefined
    case 'exists':
      return found !== undefined
    case 'unchanged':
      return found !== undefined && Number(found.modRevision) === precondition.modRevision
  }
}

/** A key that does not exist has version 0 and modification revision 0. */
function compareOf(precondition: Precondition): Compare {
  const key = bytesOfKey(precondition.key)
  if (precondition.kind !== 'unchanged' || precondition.modRevision <= 0) {
    const { GREATER, EQUAL } = Compare_CompareResult
    // What has never been written cannot be unchanged.
    const result = precondition.kind === 'absent' ? EQUAL : GREATER
    const version = precondition.kind === 'unchanged' ? neverReached : 0n
    return {
      ...{ key, result, target: Compare_CompareTarget.VERSION },
      targetUnion: { case: 'version', value: version },
    }
  }
  return {
    ...{ key, result: Compare_CompareResult.EQUAL, target: Compare_CompareTarget.MOD },
    targetUnion: { case: 'modRevision', value: BigInt(precondition.modRevision) },
  }
}

const neverReached = 2n ** 62n

function operationOf(write: Write): RequestOp {
  switch (write.kind) {
    case 'put': {
      const { key, value, leaseId } = write
      const lease = leaseId === undefined ? 0n : BigInt(leaseId)
      return { request: { case: 'requestPut', value: { key: bytesOfKey(key), value, lease } } }
    }
    case 'delete':
      return { request: { case: 'requestDeleteRange', value: { key: bytesOfKey(write.key) } } }
    case 'delete-prefix':
      return { request: { case: 'requestDeleteRange', value: rangeOf(write.prefix) } }
  }
}
