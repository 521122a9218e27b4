import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { fromJson, type JsonObject } from '@bufbuild/protobuf'
import { SchedulerConfigurationSchema } from '../gen/cloudless/v1/coordinator_pb.ts'
import { validateSchedulerConfiguration } from './scheduler-configuration.ts'

describe("the scheduler's configuration", () => {
  for (const [property, configuration, ...fields] of [
    ['may leave everything as it is', {}],
    ['packs in a known way', { packing: 'tight' }, 'packing'],
    ['cannot pack by nothing', { packing: '' }, 'packing'],
    ['spreads over what is known', { spreadTopology: 'rack' }, 'spreadTopology'],
    ['may spread over nothing', { spreadTopology: 'none' }],
    ['promises at least what there is', { cpuOvercommit: 0.99 }, 'cpuOvercommit'],
    ['promises at most ten times what there is', { memoryOvercommit: 10.1 }, 'memoryOvercommit'],
    ['promises no number that is none', { cpuOvercommit: 'NaN' }, 'cpuOvercommit'],
    ['may promise ten times the memory', { memoryOvercommit: 10, cpuOvercommit: 1 }],
    ['weighs at least one term', { weights: {} }, 'weights'],
    ['weighs with no negative', { weights: { cost: -1, locality: 2 } }, 'weights.cost'],
    [
      'has a bounded priority',
      { preemptionPriorityAbove: 1_000_000_001 },
      'preemptionPriorityAbove',
    ],
  ] as [string, JsonObject, ...string[]][]) {
    it(property, () => {
      const message = fromJson(SchedulerConfigurationSchema, configuration)
      const problems = validateSchedulerConfiguration(message)
      assert.deepEqual(
        problems.map(({ field }) => field),
        fields,
      )
    })
  }
})
