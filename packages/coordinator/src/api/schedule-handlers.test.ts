import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { create } from '@bufbuild/protobuf'
import {
  RescheduleRequestSchema,
  ScheduleRequestSchema,
  WorkloadType,
  type Workload,
} from '@cloudless/api'
import { openCluster, recordingReporter } from '../testing/cluster.ts'
import { nodeRecord, readyReplica, replicaRecord, workloadRecord } from '../testing/records.ts'
import { openScheduling as openScheduler } from '../testing/scheduling.ts'
import { scheduleHandlers } from './schedule-handlers.ts'

async function openScheduling(t: TestContext) {
  const cluster = await openCluster(t)
  const { state } = cluster
  const { report } = recordingReporter()
  const { view, controller } = openScheduler(t, state, report)
  const told: string[] = []
  const onReschedule = (_: Workload, why: string): void => void told.push(why)
  const deps = { state, view, placement: controller, admit: () => undefined, onReschedule }
  await cluster.put('node', { 'node-a': nodeRecord('node-a') })
  return { ...cluster, told, handlers: scheduleHandlers(deps) }
}

test('a dry run says where replicas would go and places nothing', async (t) => {
  const { handlers, state } = await openScheduling(t)
  const workload = { name: 'web', spec: { image: 'nginx', replicas: 3 } }
  const request = create(ScheduleRequestSchema, { workload, dryRun: true })
  const { decisions } = await handlers.schedule(request)
  assert.deepEqual(
    decisions.map(({ nodeName }) => nodeName),
    ['a', 'a', 'a'],
  )
  assert.ok(decisions.every(({ scoreTerms }) => Object.keys(scoreTerms).length > 0))
  assert.equal(state.count('replica'), 0)
})

test('a dry run that finds no place says why', async (t) => {
  const { handlers } = await openScheduling(t)
  const requests = { cpuMillicores: 900_000 }
  const spec = { image: 'nginx', replicas: 1, resources: { requests } }
  const request = create(ScheduleRequestSchema, { workload: { name: 'web', spec }, dryRun: true })
  const [decision] = (await handlers.schedule(request)).decisions
  assert.equal(decision!.nodeId, '')
  assert.equal(decision!.pendingReasons[0]!.nodeCount, 1)
})

test('a dry run explains every node when asked to, and takes wishes from the manifest', async (t) => {
  const { handlers, put } = await openScheduling(t)
  await put('node', {
    'node-b': nodeRecord('node-b', { node: { addresses: ['192.0.2.1', '9.9.9.9'] } }),
  })
  const spec = {
    image: 'nginx',
    replicas: 1,
    placement: { nodeSelector: { 'network.feature/ipv6': 'required' } },
  }
  const annotations = { 'network.requirePublicIP': 'true' }
  const workload = { name: 'web', spec, annotations }
  const request = create(ScheduleRequestSchema, { workload, dryRun: true, explain: true })
  const [decision] = (await handlers.schedule(request)).decisions
  assert.equal(
    decision!.summary.replace(/0\.\d\d/, 'x'),
    'would go to a, the best of 2 nodes that could take it (score x); scores this near are equal, and binpack prefers it',
  )
  const penalties = decision!.verdicts.map(({ nodeName, terms }) => [
    nodeName,
    terms.find(({ name }) => name === 'network_penalty')!.value,
  ])
  assert.deepEqual(penalties, [
    ['a', 40],
    ['b', 30],
  ])
})

test('a trial has a limit', async (t) => {
  const { handlers } = await openScheduling(t)
  const workload = { name: 'web', spec: { image: 'nginx', replicas: 10_001 } }
  const request = create(ScheduleRequestSchema, { workload, dryRun: true })
  await assert.rejects(handlers.schedule(request), { code: 'resource_exhausted' })
})

test('a schedule answers when what waited was tried', async (t) => {
  const { handlers, put } = await openScheduling(t)
  await put('workload', { 'default-web': workloadRecord() })
  await put('replica', { 'web-1': replicaRecord('web-1') })
  const request = create(ScheduleRequestSchema, { workload: { name: 'web' } })
  const { decisions } = await handlers.schedule(request)
  assert.equal(decisions[0]!.nodeId, 'node-a')
})

test('a reschedule marks every placed replica, however many', async (t) => {
  const { handlers, put, state } = await openScheduling(t)
  await put('workload', { 'default-web': workloadRecord({ spec: { replicas: 1_200 } }) })
  const ids = Array.from({ length: 1_200 }, (_, n) => `web-${n}`)
  await put('replica', Object.fromEntries(ids.map((id) => [id, readyReplica(id, 'node-a')])))
  const request = create(RescheduleRequestSchema, { workloadId: 'web', reason: 'too warm' })
  const { oldDecisions } = await handlers.reschedule(request)
  assert.equal(oldDecisions.length, 1_200)
  for (const { record } of state.all('replica')) {
    assert.equal(record.replaceWanted, true)
    assert.equal(record.replaceReason, 'rescheduled')
  }
})

test('the words of an operator who reschedules are told, and do not say whose move it is', async (t) => {
  const { handlers, put, state, told } = await openScheduling(t)
  await put('workload', { 'default-web': workloadRecord() })
  await put('replica', { 'web-1': readyReplica('web-1', 'node-a') })
  await handlers.reschedule(
    create(RescheduleRequestSchema, { workloadId: 'web', reason: 'drained' }),
  )
  assert.equal(state.get('replica', 'web-1')!.replaceReason, 'rescheduled')
  assert.deepEqual(told, ['drained'])
})

for (const kind of ['DAEMON', 'JOB', 'CRON'] as const) {
  test(`a ${kind} is not rescheduled`, async (t) => {
    const type = WorkloadType[kind]
    const { handlers, put, state } = await openScheduling(t)
    await put('workload', { 'default-web': workloadRecord({ spec: { type } }) })
    await put('replica', { 'web-1': readyReplica('web-1', 'node-a') })
    const request = create(RescheduleRequestSchema, { workloadId: 'web' })
    await assert.rejects(handlers.reschedule(request), {
      code: 'failed_precondition',
      message: /^cannot reschedule: .*"web"/,
    })
    assert.equal(state.get('replica', 'web-1')!.replaceWanted, false)
  })
}
