import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import * as fc from 'fast-check'
import type { Change, Precondition, Transaction, Write } from '../store.ts'
import type { Operation, Outcome } from './messages.ts'
import { copyOf, packOperation, packReply, unpackOperation, unpackReply } from './packing.ts'

const key = fc.stringMatching(/^[ab]{1,3}\/[a-c]{1,2}$/)
const value = fc.uint8Array({ maxLength: 5 })
const leaseId = fc.option(fc.constantFrom('lease-1', 'lease-2'), { nil: undefined })
const preconditions: fc.Arbitrary<Precondition[]> = fc.array(
  fc.oneof(
    fc.record({ kind: fc.constantFrom('absent' as const, 'exists' as const), key }),
    fc.record({ kind: fc.constant('unchanged' as const), key, modRevision: fc.nat() }),
  ),
  { maxLength: 5 },
)
const write: fc.Arbitrary<Write> = fc.oneof(
  fc
    .tuple(key, value, leaseId)
    .map(([key, value, leaseId]): Write =>
      leaseId === undefined ? { kind: 'put', key, value } : { kind: 'put', key, value, leaseId },
    ),
  fc.record({ kind: fc.constant('delete' as const), key }),
  fc.record({ kind: fc.constant('delete-prefix' as const), prefix: fc.constantFrom('a/', 'b') }),
)
const writes = fc.uniqueArray(write, {
  maxLength: 8,
  selector: (one) => (one.kind === 'delete-prefix' ? one.prefix : one.key),
})

describe('what goes between the threads', () => {
  it('is the transaction that was given, whatever becomes of the bytes that were given', () => {
    fc.assert(
      fc.property(preconditions, writes, (preconditions, writes) => {
        const given: Transaction = { preconditions, writes }
        const before = structuredClone(given)
        const transaction = copyOf(given)
        for (const one of writes) if (one.kind === 'put') one.value.fill(0xff)
        assert.deepEqual(transaction, before)
        const operation = { kind: 'transact', transaction } as const
        const arrived = unpackOperation(structuredClone(packOperation(operation)))
        assert.deepEqual(arrived, operation)
      }),
    )
  })

  it('is what came of it, in the order of the writes', () => {
    const present = fc.uniqueArray(key, { maxLength: 6 })
    fc.assert(
      fc.property(writes, present, fc.boolean(), (writes, present, isRevoked) => {
        const transaction = copyOf({ writes })
        const operation: Operation = isRevoked
          ? { kind: 'revoke-lease', leaseId: 'lease-1' }
          : { kind: 'transact', transaction }
        const changes = isRevoked
          ? present.map((key): Change => ({ kind: 'delete', key, modRevision: 7 }))
          : changesOf(transaction.writes, new Set(present))
        const outcome: Outcome = { kind: 'done', revision: 7, changes }
        const reply = { outcomes: [outcome], revision: 7, compactedRevision: 1, commitMs: 2.5 }
        const arrived = structuredClone(packReply(reply))
        assert.deepEqual(unpackReply([operation], arrived), reply)
      }),
    )
  })

  it('is a refusal or a failure as it is', () => {
    const outcomes: Outcome[] = [
      { kind: 'refused', revision: 3, failed: { kind: 'absent', key: 'a/a' } },
      { kind: 'failed', failure: { code: 'unavailable', message: 'gone', details: {} } },
    ]
    const operation: Operation = { kind: 'transact', transaction: copyOf({ writes: [] }) }
    const reply = { outcomes, revision: 3, compactedRevision: 1, commitMs: 1 }
    const arrived = structuredClone(packReply(reply))
    assert.deepEqual(unpackReply([operation, operation], arrived), reply)
  })
})

/** As the store would make them. */
function changesOf(writes: readonly Write[], present: Set<string>): Change[] {
  const changes: Change[] = []
  for (const write of writes) {
    if (write.kind === 'put') {
      const { key, value } = write
      const createRevision = present.has(key) ? 3 : 7
      present.add(key)
      changes.push({ kind: 'put', entry: { key, value, createRevision, modRevision: 7 } })
      continue
    }
    const gone = [...present].filter((key) =>
      write.kind === 'delete' ? key === write.key : key.startsWith(write.prefix),
    )
    for (const key of gone) {
      present.delete(key)
      changes.push({ kind: 'delete', key, modRevision: 7 })
    }
  }
  return changes
}
