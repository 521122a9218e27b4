import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { create, type MessageInitShape } from '@bufbuild/protobuf'
import {
  ApplyOutcome,
  ApplyWorkloadRequestSchema,
  CreateWorkloadRequestSchema,
  DeleteWorkloadRequestSchema,
  GetWorkloadRequestSchema,
  ListReplicasRequestSchema,
  ListWorkloadsRequestSchema,
  RestartWorkloadRequestSchema,
  ScaleWorkloadRequestSchema,
  UpdateWorkloadRequestSchema,
  WatchKind,
  WatchWorkloadsRequestSchema,
  WorkloadPhase,
  WorkloadSchema,
} from '@cloudless/api'
import { systemClock } from '@cloudless/base'
import { openCluster } from '../testing/cluster.ts'
import { readyReplica } from '../testing/records.ts'
import { workloadHandlers } from './workload-handlers.ts'

type Init = Omit<MessageInitShape<typeof WorkloadSchema>, '$typeName' | '$unknown'>

async function openHandlers(t: TestContext) {
  const cluster = await openCluster(t)
  const changed: string[] = []
  const handlers = workloadHandlers({
    state: cluster.state,
    clock: systemClock,
    autoscalingOf: () => undefined,
    admit: () => undefined,
    onChanged: (record, action) => changed.push(`${action} ${record.workload!.id}`),
  })
  const web = (facts: Init = {}) =>
    create(WorkloadSchema, { name: 'web', spec: { image: 'nginx:1', replicas: 2 }, ...facts })
  return {
    ...cluster,
    changed,
    handlers,
    web,
    make: (facts: Init = {}) =>
      handlers.createWorkload(create(CreateWorkloadRequestSchema, { workload: web(facts) })),
    update: (facts: Init, dryRun = false) =>
      handlers.updateWorkload(
        create(UpdateWorkloadRequestSchema, { workload: web(facts), dryRun }),
      ),
    apply: (facts: Init) =>
      handlers.applyWorkload(create(ApplyWorkloadRequestSchema, { workload: web(facts) })),
    scale: (workloadId: string, replicas: number, namespace = '') =>
      handlers.scaleWorkload(
        create(ScaleWorkloadRequestSchema, { workloadId, namespace, replicas }),
      ),
    remove: (workloadId: string, facts: object = {}) =>
      handlers.deleteWorkload(create(DeleteWorkloadRequestSchema, { workloadId, ...facts })),
    get: (workloadId: string, namespace = '') =>
      handlers.getWorkload(create(GetWorkloadRequestSchema, { workloadId, namespace })),
  }
}

test('what was created is there, complete, with the defaults filled in', async (t) => {
  const { make, get, changed } = await openHandlers(t)
  const made = await make()
  assert.equal(made.id, 'default-web')
  assert.equal(made.namespace, 'default')
  assert.equal(made.revision, 1n)
  assert.equal(made.status!.phase, WorkloadPhase.PENDING)
  assert.equal(get('web').spec!.terminationGraceMs, 30_000n)
  assert.equal(get('default-web').id, 'default-web')
  assert.deepEqual(changed, ['create default-web'])
})

test('what exists is not created again', async (t) => {
  const { make } = await openHandlers(t)
  await make()
  await assert.rejects(make(), { code: 'already_exists', message: /apply or update/ })
})

test('of many that create the same at once, one does', async (t) => {
  const { make } = await openHandlers(t)
  const results = await Promise.allSettled(Array.from({ length: 20 }, () => make()))
  assert.equal(results.filter(({ status }) => status === 'fulfilled').length, 1)
})

test('a dry run stores nothing and says the same', async (t) => {
  const { handlers, state, web, make, update, get } = await openHandlers(t)
  const request = create(CreateWorkloadRequestSchema, { workload: web(), dryRun: true })
  assert.equal((await handlers.createWorkload(request)).id, 'default-web')
  assert.equal(state.count('workload'), 0)
  await make()
  assert.equal((await update({ spec: { image: 'nginx:2', replicas: 2 } }, true)).revision, 2n)
  assert.equal(get('web').revision, 1n)
})

test('an update that changes what runs makes a revision, one that does not makes none', async (t) => {
  const { make, update, get } = await openHandlers(t)
  const { createdAtMs } = await make()
  assert.equal((await update({ spec: { image: 'nginx:1', replicas: 5 } })).revision, 1n)
  assert.equal(get('web').spec!.replicas, 5)
  const updated = await update({ spec: { image: 'nginx:2', replicas: 5 } })
  assert.equal(updated.revision, 2n)
  assert.equal(updated.createdAtMs, createdAtMs)
})

test('an update of what has changed since it was read is refused', async (t) => {
  const { make, update, scale } = await openHandlers(t)
  const { resourceVersion } = await make()
  await scale('web', 7)
  const stale = update({ resourceVersion, spec: { image: 'nginx:2', replicas: 2 } })
  await assert.rejects(stale, { code: 'conflict', message: /read it again/ })
})

test('apply creates, then changes, then says that nothing changed', async (t) => {
  const { apply, changed } = await openHandlers(t)
  const two = { spec: { image: 'nginx:1', replicas: 2 } }
  const three = { spec: { image: 'nginx:1', replicas: 3 } }
  assert.equal((await apply(two)).outcome, ApplyOutcome.CREATED)
  assert.equal((await apply(two)).outcome, ApplyOutcome.UNCHANGED)
  assert.equal((await apply(three)).outcome, ApplyOutcome.CONFIGURED)
  assert.deepEqual(changed, ['create default-web', 'update default-web'])
})

test('a name whose id is that of another workload changes nothing of that one', async (t) => {
  const { make, apply, update, get, remove } = await openHandlers(t)
  await make({ namespace: 'a', name: 'b-c' })
  const other: Init = { namespace: 'a-b', name: 'c', spec: { image: 'evil', replicas: 9 } }
  await assert.rejects(make(other), { code: 'already_exists', message: /another name/ })
  await assert.rejects(apply(other), { code: 'already_exists', message: /another name/ })
  await assert.rejects(update(other), { code: 'not_found' })
  await assert.rejects(remove('c', { namespace: 'a-b' }), { code: 'not_found' })
  assert.throws(() => get('c', 'a-b'), { code: 'not_found' })
  assert.equal(get('b-c', 'a').spec!.replicas, 2)
})

test('what is scaled or deleted is what was named, whatever reads like its id', async (t) => {
  const { make, scale, remove, get, state } = await openHandlers(t)
  await make({ namespace: 'prod', name: 'web' })
  await make({ namespace: 'default', name: 'prod-web' })
  await scale('web', 7, 'prod')
  assert.equal(get('web', 'prod').spec!.replicas, 7)
  assert.equal(get('prod-web').spec!.replicas, 2)
  await remove('web', { namespace: 'prod' })
  assert.equal(state.get('workload', 'default-prod-web')!.deletedAtMs, 0n)
  assert.ok(state.get('workload', 'prod-web')!.deletedAtMs > 0n)
})

test('an update never changes a workload that only has the name as its id', async (t) => {
  const { make, update, get } = await openHandlers(t)
  await make()
  const other = { namespace: 'x', name: 'default-web', spec: { image: 'evil', replicas: 1 } }
  await assert.rejects(update(other), { code: 'not_found' })
  assert.equal(get('web').spec!.image.includes('nginx'), true)
})

test('what is being deleted takes no changes, and may be deleted again', async (t) => {
  const { make, update, scale, remove, state, apply } = await openHandlers(t)
  await make()
  await remove('web', { timeoutMs: 5_000n })
  const first = state.get('workload', 'default-web')!
  assert.equal(first.deleteGraceMs, 5_000n)
  const gone = { code: 'failed_precondition', message: /being deleted/ }
  await assert.rejects(scale('web', 1), gone)
  await assert.rejects(update({ spec: { image: 'x', replicas: 1 } }), gone)
  await assert.rejects(apply({ spec: { image: 'nginx:1', replicas: 2 } }), gone)
  await assert.rejects(make(), gone)
  await remove('web', { graceful: false })
  const second = state.get('workload', 'default-web')!
  assert.equal(second.deletedAtMs, first.deletedAtMs)
  assert.equal(second.deleteGraceMs, 0n)
})

test('a restart is a new revision of the same', async (t) => {
  const { make, handlers } = await openHandlers(t)
  await make()
  const request = create(RestartWorkloadRequestSchema, { workloadId: 'web' })
  assert.equal((await handlers.restartWorkload(request)).revision, 2n)
})

test('nonsense is refused with the field that is wrong', async (t) => {
  const { handlers, scale, make, remove } = await openHandlers(t)
  const empty = create(CreateWorkloadRequestSchema, {})
  await assert.rejects(handlers.createWorkload(empty), { code: 'invalid_argument' })
  await assert.rejects(make({ spec: { image: '', replicas: 1 } }), /image/)
  await make()
  await assert.rejects(scale('web', -1), { code: 'invalid_argument', message: /replicas/ })
  await assert.rejects(scale('', 1), { code: 'invalid_argument' })
  await assert.rejects(scale('nothing', 1), { code: 'not_found' })
  await assert.rejects(remove('web', { timeoutMs: -1n }), { code: 'invalid_argument' })
})

test('lists are filtered and paged', async (t) => {
  const { make, handlers, put } = await openHandlers(t)
  await make({ name: 'a', labels: { tier: 'front' } })
  await make({ name: 'b', namespace: 'prod' })
  await make({ name: 'c', labels: { tier: 'back' } })
  const list = (facts: MessageInitShape<typeof ListWorkloadsRequestSchema>) =>
    handlers.listWorkloads(create(ListWorkloadsRequestSchema, facts))
  const names = (facts: MessageInitShape<typeof ListWorkloadsRequestSchema>) =>
    list(facts).workloads.map(({ name }) => name)
  assert.deepEqual(names({}), ['a', 'c', 'b'])
  assert.deepEqual(names({ namespace: 'prod' }), ['b'])
  assert.deepEqual(names({ labelSelector: { tier: 'back' } }), ['c'])
  const { nextToken } = list({ limit: 2 })
  assert.deepEqual(names({ limit: 2, continueToken: nextToken }), ['b'])
  await put('replica', {
    'a-1': readyReplica('a-1', 'node-a', { status: { workloadId: 'default-a' } }),
    'b-1': readyReplica('b-1', 'node-a', { status: { workloadId: 'prod-b', namespace: 'prod' } }),
  })
  const replicas = (facts: MessageInitShape<typeof ListReplicasRequestSchema>) =>
    handlers.listReplicas(create(ListReplicasRequestSchema, facts)).replicas.map(({ id }) => id)
  assert.deepEqual(replicas({}), ['a-1', 'b-1'])
  assert.deepEqual(replicas({ workloadId: 'a' }), ['a-1'])
  assert.deepEqual(replicas({ namespace: 'prod' }), ['b-1'])
})

test('a watch shows what is there, a mark, then every change', async (t) => {
  const { make, handlers, scale, put } = await openHandlers(t)
  await make()
  const abort = new AbortController()
  const call = { peer: undefined, signal: abort.signal, extendConnection: () => undefined }
  const request = create(WatchWorkloadsRequestSchema, {})
  const watch = handlers.watchWorkloads(request, call)[Symbol.asyncIterator]()
  const next = async () => {
    const { value } = await watch.next()
    return [value?.kind, value?.workload?.name, value?.workload?.status?.readyReplicas]
  }
  assert.deepEqual(await next(), [WatchKind.ADDED, 'web', 0])
  assert.deepEqual(await next(), [WatchKind.SYNCED, undefined, undefined])
  await scale('web', 5)
  assert.deepEqual(await next(), [WatchKind.MODIFIED, 'web', 0])
  await put('replica', { 'web-1': readyReplica('web-1', 'node-a') })
  assert.deepEqual(await next(), [WatchKind.MODIFIED, 'web', 1])
  await make({ name: 'other' })
  assert.deepEqual(await next(), [WatchKind.ADDED, 'other', 0])
  const last = watch.next()
  abort.abort()
  assert.equal((await last).done, true)
})
