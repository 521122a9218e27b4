import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { create } from '@bufbuild/protobuf'
import {
  CreateWorkloadRequestSchema,
  ListReplicasRequestSchema,
  ListRevisionsRequestSchema,
  RestartWorkloadRequestSchema,
  RolloutPhase,
  RolloutRequestSchema,
  RolloutStrategyKind,
  UndoRolloutRequestSchema,
  UpdateWorkloadRequestSchema,
  type ReplicaRecord,
  type WorkloadRecord,
} from '@cloudless/api'
import { CloudlessError, seededRandom, sleep, systemClock } from '@cloudless/base'
import { WorkloadController } from '../controllers/workload-controller.ts'
import {
  deleteRecord,
  putRecord,
  unchanged,
  type ClusterState,
  type Held,
} from '../state/cluster-state.ts'
import { cleanUp, eventually, openCluster, recordingReporter } from '../testing/cluster.ts'
import { readyReplica, workloadRecord } from '../testing/records.ts'
import { workloadHandlers } from './workload-handlers.ts'

const namespace = 'default'
const workloadId = 'web'

async function open(t: TestContext) {
  const cluster = await openCluster(t)
  const { state } = cluster
  const changes: string[] = []
  const handlers = workloadHandlers({
    state,
    clock: systemClock,
    admit: () => undefined,
    autoscalingOf: () => undefined,
    onChanged: (_, action) => changes.push(action),
  })
  const { report, said } = recordingReporter()
  const workload = (image: string, rollout: object = {}) => ({
    name: workloadId,
    namespace,
    spec: { image, replicas: 2, rollout },
  })
  return {
    ...cluster,
    handlers,
    changes,
    said,
    record: (): WorkloadRecord => state.get('workload', 'default-web')!,
    create: (image: string, rollout?: object) =>
      handlers.createWorkload(
        create(CreateWorkloadRequestSchema, { workload: workload(image, rollout) }),
      ),
    update: (image: string, rollout?: object) =>
      handlers.updateWorkload(
        create(UpdateWorkloadRequestSchema, { workload: workload(image, rollout) }),
      ),
    undo: (toRevision = 0n) =>
      handlers.undoRollout(create(UndoRolloutRequestSchema, { workloadId, namespace, toRevision })),
    revisions: (limit = 0, continueToken = '') =>
      handlers.listRevisions(
        create(ListRevisionsRequestSchema, { workloadId, namespace, limit, continueToken }),
      ),
    request: create(RolloutRequestSchema, { workloadId, namespace }),
    control(): void {
      const deps = { state, clock: systemClock, random: seededRandom(1), report }
      const controller = new WorkloadController(deps)
      cleanUp(t, () => controller.close())
    },
    /** Whatever waits becomes ready, and whatever stops is gone, until nothing does. */
    async settle(): Promise<void> {
      const isOver = (): boolean => phaseOf(state) === RolloutPhase.COMPLETED
      for (let round = 0; round < 1_000 && !isOver(); round++) {
        await Promise.all(state.replicasOfWorkload('default-web').map((held) => act(state, held)))
        await sleep(systemClock, 2)
      }
      assert.equal(phaseOf(state), RolloutPhase.COMPLETED)
    },
  }
}

function phaseOf(state: ClusterState): RolloutPhase | undefined {
  return state.get('workload', 'default-web')?.rollout?.phase
}

/** What its agent would do next with a replica, if nobody has changed it since. */
async function act(state: ClusterState, held: Held<ReplicaRecord>): Promise<void> {
  const { id, record } = held
  const { ready, revision, replaces } = record.status!
  if (ready && !record.stopping) return
  const { status } = readyReplica(id, 'node-a', { status: { revision, replaces } })
  const write = record.stopping
    ? deleteRecord('replica', id)
    : putRecord('replica', id, { ...record, status: status! })
  await state.write({ preconditions: [unchanged('replica', held)], writes: [write] })
}

test('each version of a workload is remembered with its cause and how its rollout ended', async (t) => {
  const { handlers, create: make, update, revisions, settle, control } = await open(t)
  control()
  await make('nginx:1')
  await settle()
  await update('nginx:2')
  await handlers.restartWorkload(create(RestartWorkloadRequestSchema, { workloadId, namespace }))
  await settle()
  const said = revisions().revisions.map(
    ({ revision, cause, outcome, current, spec }) =>
      `${revision} ${cause} ${outcome} ${spec!.image}${current ? ' current' : ''}`,
  )
  assert.deepEqual(said, [
    '3 restarted completed nginx:2 current',
    '2 updated superseded nginx:2',
    '1 created completed nginx:1',
  ])
})

test('revisions come in pages, newest first', async (t) => {
  const { create: make, update, revisions } = await open(t)
  await make('nginx:1')
  for (let n = 2; n <= 5; n++) await update(`nginx:${n}`)
  const first = revisions(2)
  assert.deepEqual(
    first.revisions.map(({ revision }) => revision),
    [5n, 4n],
  )
  const second = revisions(2, first.nextToken)
  assert.deepEqual(
    second.revisions.map(({ revision }) => revision),
    [3n, 2n],
  )
  assert.equal(second.total, 5)
})

test('no more are kept than the limit says, besides the current one and those that run', async (t) => {
  const { create: make, update, revisions, put } = await open(t)
  await make('nginx:1', { historyLimit: 3 })
  await put('replica', { 'web-1': readyReplica('web-1', 'node-a') })
  for (let n = 2; n <= 9; n++) await update(`nginx:${n}`, { historyLimit: 3 })
  const numbers = revisions().revisions.map(({ revision }) => revision)
  assert.equal(numbers[0], 9n)
  assert.ok(numbers.includes(1n), 'it still runs, and is what one would go back to')
  assert.ok(numbers.length <= 5, String(numbers))
})

test('undo goes back to the revision before, with its number, and keeps what runs of it', async (t) => {
  const { create: make, update, undo, record, settle, control, changes, state } = await open(t)
  control()
  await make('nginx:1')
  await settle()
  const live = () => state.replicasOfWorkload('default-web').filter((r) => !r.record.stopping)
  const ids = live().map(({ id }) => id)
  await update('nginx:2')
  const back = await undo()
  assert.equal(back.revision, 1n)
  assert.equal(back.spec!.image, 'nginx:1')
  assert.equal(back.status!.rollout!.phase, RolloutPhase.ROLLING_BACK)
  await settle()
  assert.deepEqual(
    live().map(({ id }) => id),
    ids,
  )
  assert.equal(changes.at(-1), 'undo')
  await update('nginx:3')
  assert.equal(record().workload!.revision, 3n, 'a number is used once')
})

test('undo while going back does not lead to what is being left', async (t) => {
  const { create: make, update, undo } = await open(t)
  await make('nginx:1')
  await update('nginx:2')
  await undo()
  await assert.rejects(undo(), refusal('not_found', /one before revision 1 .* there are 2/))
})

test('undo says which revisions there are when the one asked for is not remembered', async (t) => {
  const { create: make, update, undo } = await open(t)
  await make('nginx:1')
  await assert.rejects(undo(), refusal('not_found', /one before revision 1 .* none is/))
  await update('nginx:2')
  await assert.rejects(undo(7n), refusal('not_found', /revision 7 .* there are 1/))
  await assert.rejects(undo(2n), refusal('failed_precondition', /has revision 2 already/))
  await assert.rejects(undo(-1n), refusal('invalid_argument', /to_revision/))
})

test('orders that cannot be carried out say what the state is', async (t) => {
  const { create: make, update, handlers, request, record, changes } = await open(t)
  await make('nginx:1')
  const { pauseRollout, resumeRollout, promoteRollout } = handlers
  await assert.rejects(pauseRollout(request), refusal('failed_precondition', /replaces nothing/))
  await update('nginx:2', { strategy: RolloutStrategyKind.CANARY })
  await assert.rejects(resumeRollout(request), refusal('failed_precondition', /is progressing/))
  await assert.rejects(promoteRollout(request), refusal('failed_precondition', /0 of 1 canaries/))
  const paused = await pauseRollout(request)
  assert.equal(paused.status!.rollout!.phase, RolloutPhase.PAUSED)
  assert.match(paused.status!.rollout!.message, /resume it/)
  await pauseRollout(request)
  assert.equal(changes.filter((action) => action === 'pause').length, 1, 'twice is once')
  await assert.rejects(promoteRollout(request), refusal('failed_precondition', /resume it first/))
  await resumeRollout(request)
  assert.equal(record().rollout!.phase, RolloutPhase.PROGRESSING)
})

test('a workload of an earlier version gets its history with its next change', async (t) => {
  const { put, update, record, revisions, undo } = await open(t)
  const spec = { image: 'nginx:1', replicas: 2 }
  await put('workload', { 'default-web': workloadRecord({ revision: 4n, spec }) })
  await update('nginx:2')
  assert.equal(record().workload!.revision, 5n)
  assert.equal(record().rollout!.fromRevision, 4n)
  const said = revisions().revisions.map(({ revision, outcome }) => `${revision} ${outcome}`)
  assert.deepEqual(said, ['5 ', '4 completed'])
  assert.equal((await undo()).spec!.image, 'nginx:1')
})

test('a failed rollout is taken back, and a replica of the old revision is made from its spec', async (t) => {
  const cluster = await open(t)
  const { create: make, update, record, settle, control, state, said } = cluster
  control()
  await make('nginx:1', { progressDeadlineMs: 300n })
  await settle()
  await update('nginx:2', { progressDeadlineMs: 300n })
  await eventually(() => record().rollout!.failedRevision === 2n, record)
  await settle()
  assert.equal(record().workload!.revision, 1n)
  const words = said.filter(({ what }) => what === 'rolloutProgressed').map(({ args }) => args[1])
  assert.deepEqual(words, ['completed', 'failed', 'rolled_back', 'completed'])
  const [one] = state.replicasOfWorkload('default-web')
  await state.write({ writes: [{ kind: 'delete', key: `replicas/${one!.id}` }] })
  await eventually(() => state.replicasOfWorkload('default-web').length === 2)
  for (const { record: replica } of state.replicasOfWorkload('default-web')) {
    assert.equal(replica.spec!.image, 'nginx:1')
    assert.equal(replica.status!.revision, 1n)
  }
})

test('while it is paused, what stands in for an old replica is made from the old spec', async (t) => {
  const { create: make, update, handlers, request, settle, control, state } = await open(t)
  control()
  await make('nginx:1')
  await settle()
  await update('nginx:2')
  await handlers.pauseRollout(request)
  const [old] = state
    .replicasOfWorkload('default-web')
    .filter(({ record }) => record.status!.revision === 1n)
  const marked = { ...old!.record, replaceWanted: true, replaceReason: 'drained' }
  await state.write({ writes: [putRecord('replica', old!.id, marked)] })
  const successor = () =>
    state
      .replicasOfWorkload('default-web')
      .find(({ record }) => record.status!.replaces === old!.id)
  await eventually(() => successor() !== undefined)
  assert.equal(successor()!.record.spec!.image, 'nginx:1')
  assert.equal(successor()!.record.status!.revision, 1n)
})

test('replicas say whether clients may be sent to them', async (t) => {
  const { create: make, update, put, handlers } = await open(t)
  await make('nginx:1', { strategy: RolloutStrategyKind.BLUE_GREEN })
  await update('nginx:2', { strategy: RolloutStrategyKind.BLUE_GREEN })
  await put('replica', {
    'web-1': readyReplica('web-1', 'node-a'),
    'web-2': readyReplica('web-2', 'node-a', { status: { revision: 2n } }),
    'web-3': readyReplica('web-3', 'node-a', { stopping: true }),
  })
  const listed = handlers.listReplicas(create(ListReplicasRequestSchema, { workloadId, namespace }))
  const got = handlers.getWorkload({ ...listed, workloadId, namespace } as never)
  for (const replicas of [listed.replicas, got.status!.replicas]) {
    assert.deepEqual(
      replicas.map(({ id, serving }) => [id, serving]),
      [
        ['web-1', true],
        ['web-2', false],
        ['web-3', false],
      ],
    )
  }
})

test('the history of a workload goes with it, and is not that of the next with its name', async (t) => {
  const { create: make, update, record, state, control, put, revisions } = await open(t)
  await make('nginx:1')
  await update('nginx:2')
  await put('workload', { 'default-web': { ...record(), deletedAtMs: 1n } })
  control()
  await eventually(() => state.count('workload') === 0 && state.count('revision') === 0)
  await make('nginx:7')
  assert.deepEqual(
    revisions().revisions.map(({ revision }) => revision),
    [1n],
  )
})

function refusal(code: string, message: RegExp): (reason: unknown) => boolean {
  return (reason) => {
    assert.ok(reason instanceof CloudlessError)
    assert.equal(reason.code, code)
    assert.match(reason.message, message)
    return true
  }
}
