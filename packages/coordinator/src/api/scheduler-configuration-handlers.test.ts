import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { create, type MessageInitShape } from '@bufbuild/protobuf'
import {
  ClusterRecordSchema,
  UpdateSchedulerConfigurationRequestSchema,
  type SchedulerConfiguration,
} from '@cloudless/api'
import { openCluster } from '../testing/cluster.ts'
import { schedulerDefaults } from '../testing/scheduling.ts'
import { schedulerConfigurationHandlers } from './scheduler-configuration-handlers.ts'

async function open(t: TestContext) {
  const cluster = await openCluster(t)
  const { state } = cluster
  await cluster.put('cluster', { cluster: create(ClusterRecordSchema, { clusterId: 'home' }) })
  const told: SchedulerConfiguration[] = []
  const handlers = schedulerConfigurationHandlers({
    state,
    file: schedulerDefaults,
    onChanged: (configuration) => told.push(configuration),
  })
  const update = (request: MessageInitShape<typeof UpdateSchedulerConfigurationRequestSchema>) =>
    handlers.updateSchedulerConfiguration(
      create(UpdateSchedulerConfigurationRequestSchema, request),
    )
  return { state, handlers, update, told }
}

test('the file is what holds, until somebody changes it', async (t) => {
  const { handlers, update, state, told } = await open(t)
  const before = handlers.getSchedulerConfiguration()
  assert.deepEqual(
    [before.packing, before.spreadTopology, before.cpuOvercommit, before.changed],
    ['binpack', 'zone', 1, []],
  )
  const changed = await update({ configuration: { packing: 'spread', cpuOvercommit: 2 } })
  assert.deepEqual(
    [changed.packing, changed.spreadTopology, changed.cpuOvercommit, changed.changed],
    ['spread', 'zone', 2, ['packing', 'cpuOvercommit']],
  )
  assert.ok(changed.resourceVersion > before.resourceVersion)
  assert.deepEqual(handlers.getSchedulerConfiguration(), changed)
  assert.deepEqual(told, [changed])
  assert.equal(state.get('cluster', 'cluster')!.clusterId, 'home', 'the rest stays')
})

test('a reset is back to the file, but for what comes with it', async (t) => {
  const { update } = await open(t)
  await update({ configuration: { packing: 'spread', memoryOvercommit: 3 } })
  const { changed } = await update({ reset: true, configuration: { cpuOvercommit: 1.5 } })
  assert.deepEqual(changed, ['cpuOvercommit'])
  assert.deepEqual((await update({ reset: true })).changed, [])
})

test('a change of nothing is stored nowhere and told to nobody', async (t) => {
  const { update, state, told } = await open(t)
  const first = await update({ configuration: { packing: 'spread' } })
  const { revision } = state
  assert.deepEqual(await update({ configuration: { packing: 'spread' } }), first)
  assert.deepEqual([state.revision, told.length], [revision, 1])
})

test('a change that was decided on another is refused', async (t) => {
  const { update, handlers } = await open(t)
  const { resourceVersion } = handlers.getSchedulerConfiguration()
  await update({ configuration: { packing: 'spread', resourceVersion } })
  await assert.rejects(update({ configuration: { packing: 'best_fit', resourceVersion } }), {
    code: 'conflict',
  })
})

test('what makes no sense is refused, with every reason', async (t) => {
  const { update, told } = await open(t)
  await assert.rejects(update({}), { code: 'invalid_argument' })
  await assert.rejects(update({ configuration: { packing: 'x', cpuOvercommit: 0 } }), {
    code: 'invalid_argument',
    message: /packing must be .*\n.*cpuOvercommit must be from 1 to 10/,
  })
  assert.equal(told.length, 0)
})
