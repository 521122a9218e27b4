import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ReplicaState } from '@cloudless/api'
import { replicaRecord } from '../testing/records.ts'
import { heldBack, letGo } from './held-replica.ts'

const cases: readonly [string, policyAtMs: bigint, heldUntilMs: bigint, expectedMs: bigint][] = [
  ['what would be replaced at once waits for its node to be let go', 0n, 500n, 500n],
  ['so does what would be replaced before that', 400n, 500n, 500n],
  ['what is to be replaced later is as it was', 600n, 500n, 600n],
  ['what is never to be replaced is not', -1n, 500n, -1n],
  ['nothing is held where nodes do not vanish together', 0n, 0n, 0n],
]
for (const [name, replaceAtMs, heldUntilMs, expectedMs] of cases) {
  test(name, () => {
    const status = { state: ReplicaState.LOST }
    const lost = replicaRecord('web-1', { replaceAtMs, status })
    const held = heldBack(lost, heldUntilMs, 0)
    assert.equal(held.replaceAtMs, expectedMs)
    const wasHeld = held !== lost
    assert.equal(wasHeld, expectedMs !== replaceAtMs)
    if (wasHeld) assert.match(held.status!.message, /vanished together/)
    assert.equal(letGo(held, heldUntilMs) !== held, wasHeld)
    if (wasHeld) assert.equal(letGo(held, heldUntilMs).replaceAtMs, 0n)
  })
}
