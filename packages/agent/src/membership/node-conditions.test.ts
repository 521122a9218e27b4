import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { create } from '@bufbuild/protobuf'
import { ResourceCapacitySchema } from '@cloudless/api'
import { conditionsOf } from './node-conditions.ts'

const well = {
  capacity: create(ResourceCapacitySchema, { cpuMillicores: 1_000 }),
  used: undefined,
  runtimeReady: true,
  clockSkewMs: 0,
}
const usedUp = { cpuMillicores: 900, memoryBytes: 0, storageBytes: 0, bandwidthBps: 0 }

describe("a node's conditions", () => {
  for (const [what, findings, types] of [
    ['are none while all is well', {}, []],
    ['name the runtime that is away', { runtimeReady: false }, ['RuntimeUnavailable']],
    ['name what is short', { used: usedUp }, ['CPUPressure']],
    ['allow a clock to be a little off', { clockSkewMs: 10_000 }, []],
    ['name a clock that is ahead', { clockSkewMs: 10_001 }, ['ClockSkew']],
    ['name a clock that is behind', { clockSkewMs: -3_600_000 }, ['ClockSkew']],
    [
      'hold together',
      { used: usedUp, runtimeReady: false, clockSkewMs: 60_000 },
      ['CPUPressure', 'RuntimeUnavailable', 'ClockSkew'],
    ],
  ] as const) {
    it(what, () => {
      const found = conditionsOf({ ...well, ...findings }).map(({ type }) => type)
      assert.deepEqual(found, types)
    })
  }

  it('say how far a clock is off, and to which side', () => {
    const [behind] = conditionsOf({ ...well, clockSkewMs: -3_600_000 })
    assert.equal(behind?.message, "its clock is 1h behind the coordinator's: set up NTP on it")
    const [ahead] = conditionsOf({ ...well, clockSkewMs: 60_000 })
    assert.match(ahead?.message ?? '', /1m ahead of/)
  })
})
