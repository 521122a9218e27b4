import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { create } from '@bufbuild/protobuf'
import { ReplicaObservationSchema, ReplicaState } from '@cloudless/api'
import { systemClock } from '@cloudless/base'
import { cleanUp, eventually, openCluster } from '../testing/cluster.ts'
import { replicaRecord } from '../testing/records.ts'
import { ObservationWriter } from './observation-writer.ts'

const running = (replicaId: string, facts: object = {}) =>
  create(ReplicaObservationSchema, { replicaId, state: ReplicaState.RUNNING, ...facts })

async function openWriter(t: TestContext) {
  const cluster = await openCluster(t)
  const stored: string[] = []
  const errors: unknown[] = []
  const writer = new ObservationWriter({
    state: cluster.state,
    clock: systemClock,
    onError: (reason) => errors.push(reason),
    onStored: (before, after) => stored.push(`${before.status!.id} ${after ? 'is' : 'gone'}`),
  })
  cleanUp(t, () => writer.close())
  const place = (ids: readonly string[]) =>
    cluster.put(
      'replica',
      Object.fromEntries(
        ids.map((id) => [
          id,
          replicaRecord(id, { status: { state: ReplicaState.SCHEDULED, nodeId: 'node-a' } }),
        ]),
      ),
    )
  const revision = () => cluster.state.revision
  return { ...cluster, writer, stored, errors, place, revision }
}

test('the newest of many reports is stored, in few transactions', async (t) => {
  const { writer, state, place, revision, stored } = await openWriter(t)
  await place(['web-1'])
  const before = revision()
  for (let n = 1; n <= 500; n++) writer.report('node-a', [running('web-1', { restartCount: n })])
  await eventually(() => state.get('replica', 'web-1')!.status!.restartCount === 500)
  assert.ok(revision() - before <= 2, `${revision() - before} transactions`)
  assert.ok(stored.length <= 2)
})

test('reports of more replicas than one transaction takes are all stored', async (t) => {
  const { writer, state, place, errors } = await openWriter(t)
  const ids = Array.from({ length: 1_200 }, (_, n) => `web-${n}`)
  await place(ids)
  writer.report(
    'node-a',
    ids.map((id) => running(id, { ready: true })),
  )
  await eventually(() => ids.every((id) => state.get('replica', id)!.status!.ready))
  assert.deepEqual(errors, [])
})

test('what is gone is forgotten, and what is not known is ignored', async (t) => {
  const { writer, state, place, stored } = await openWriter(t)
  await place(['web-1'])
  writer.report('node-a', [running('web-1', { removed: true }), running('web-9')])
  await eventually(() => state.count('replica') === 0)
  await eventually(() => stored.length === 1)
  assert.deepEqual(stored, ['web-1 gone'])
})

test('one agent that says too much holds up no other', async (t) => {
  const { writer, state, place, errors } = await openWriter(t)
  await place(['web-1', 'web-2'])
  const message = 'x'.repeat(2_000_000)
  writer.report('node-a', [running('web-1', { message }), running('web-2', { ready: true })])
  await eventually(() => state.get('replica', 'web-2')!.status!.ready)
  assert.deepEqual(errors, [])
})
