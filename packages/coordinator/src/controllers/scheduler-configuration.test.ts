import assert from 'node:assert/strict'
import { test } from 'node:test'
import { create, type MessageInitShape } from '@bufbuild/protobuf'
import { SchedulerConfigurationSchema } from '@cloudless/api'
import {
  changedConfiguration,
  servedConfiguration,
  settingsInForce,
  type SchedulerSettings,
} from './scheduler-configuration.ts'

const file: SchedulerSettings = {
  weights: { locality: 0.3, reliability: 0.25, cost: 0.15, utilization: 0.2, networkPenalty: 0.1 },
  packing: 'binpack',
  spreadTopology: 'zone',
  cpuOvercommit: 1,
  memoryOvercommit: 1,
  preemptionPriorityAbove: 100,
}

type Change = MessageInitShape<typeof SchedulerConfigurationSchema>

const configuration = (change: Change) => create(SchedulerConfigurationSchema, change)

test('the file holds where nobody has changed anything', () => {
  assert.equal(settingsInForce(file, undefined), file)
  assert.deepEqual(settingsInForce(file, configuration({})), file)
})

test('what was changed holds over the file, 0 and "none" included', () => {
  const stored = configuration({
    packing: 'spread',
    spreadTopology: 'none',
    preemptionPriorityAbove: 0,
    weights: { reliability: 1 },
  })
  assert.deepEqual(settingsInForce(file, stored), {
    ...file,
    packing: 'spread',
    spreadTopology: '',
    preemptionPriorityAbove: 0,
    weights: { locality: 0, reliability: 1, cost: 0, utilization: 0, networkPenalty: 0 },
  })
})

test('what is served has every member, and names those that were changed', () => {
  const served = servedConfiguration(
    { ...file, spreadTopology: '' },
    configuration({ cpuOvercommit: 2 }),
    7,
  )
  assert.deepEqual(served.changed, ['cpuOvercommit'])
  assert.equal(served.cpuOvercommit, 2)
  assert.equal(served.memoryOvercommit, 1)
  assert.equal(served.spreadTopology, 'none')
  assert.equal(served.weights?.locality, 0.3)
  assert.equal(served.resourceVersion, 7n)
})

for (const [property, stored, change, reset, expected] of [
  ['a change keeps what it does not name', { packing: 'spread' }, { cpuOvercommit: 2 }, false],
  ['a change of what was changed wins', { cpuOvercommit: 3 }, { cpuOvercommit: 2 }, false],
  ['a reset forgets everything', { packing: 'spread', cpuOvercommit: 3 }, {}, true, {}],
  [
    'a change with a reset is all that is left',
    { packing: 'spread' },
    { cpuOvercommit: 2 },
    true,
    { cpuOvercommit: 2 },
  ],
  [
    'what answers are for is not stored',
    {},
    { changed: ['packing'], resourceVersion: 4n },
    false,
    {},
  ],
] as [string, Change, Change, boolean, Change?][]) {
  test(property, () => {
    const result = changedConfiguration(configuration(stored), configuration(change), reset)
    assert.deepEqual(result, configuration(expected ?? ({ ...stored, ...change } as Change)))
  })
}
