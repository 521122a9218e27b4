import assert from 'node:assert/strict'
import { test } from 'node:test'
import { create } from '@bufbuild/protobuf'
import {
  NodeCapabilitiesSchema,
  NodeSchema,
  PowerSource,
  ResourceCapacitySchema,
} from '@cloudless/api'
import { toldBy, withTold } from './told-facts.ts'

const onMains = create(NodeCapabilitiesSchema, { powerSource: PowerSource.MAINS })
const onBattery = create(NodeCapabilitiesSchema, { powerSource: PowerSource.BATTERY })
const whole = create(ResourceCapacitySchema, { cpuMillicores: 1_800 })
const half = create(ResourceCapacitySchema, { cpuMillicores: 900 })

test('a message that says nothing, or the same again, changes nothing', () => {
  const before = { capabilities: onMains, allocatable: whole }
  assert.equal(toldBy({}, before), before)
  assert.equal(toldBy({ allocatable: { ...whole } }, before), before)
})

test('what a message leaves out stays as it was said before', () => {
  const before = { capabilities: onMains, allocatable: whole }
  assert.deepEqual(toldBy({ allocatable: half }, before), { ...before, allocatable: half })
  assert.deepEqual(toldBy({ capabilities: onBattery }), {
    capabilities: onBattery,
    allocatable: undefined,
  })
})

test('a record is changed only by what differs from it', () => {
  const node = create(NodeSchema, { name: 'a', capabilities: onMains, allocatable: whole })
  assert.equal(withTold(node, {}), node)
  assert.equal(withTold(node, { capabilities: { ...onMains } }), node)
  const changed = withTold(node, { capabilities: onBattery, allocatable: half })
  assert.equal(changed.name, 'a')
  assert.equal(changed.capabilities?.powerSource, PowerSource.BATTERY)
  assert.equal(changed.allocatable?.cpuMillicores, 900)
})
