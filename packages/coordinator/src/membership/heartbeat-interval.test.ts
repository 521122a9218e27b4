import assert from 'node:assert/strict'
import { test } from 'node:test'
import { heartbeatIntervalFor, heartbeatsPerSecondMax } from './heartbeat-interval.ts'

const cases: readonly [number, number, number][] = [
  // Nodes, what is configured, what is asked.
  [0, 500, 500],
  [3, 500, 500],
  [1_000, 500, 500],
  [1_001, 500, 1_000],
  [5_000, 500, 2_500],
  [5_000, 10_000, 10_000],
  [20_000, 500, 10_000],
]
for (const [nodes, configuredMs, expectedMs] of cases) {
  test(`${nodes} nodes are asked every ${expectedMs} ms where ${configuredMs} ms are configured`, () => {
    const intervalMs = heartbeatIntervalFor(nodes, configuredMs)
    assert.equal(intervalMs, expectedMs)
    assert.ok((nodes / intervalMs) * 1_000 <= heartbeatsPerSecondMax)
  })
}
