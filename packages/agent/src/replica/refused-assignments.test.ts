import assert from 'node:assert/strict'
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { create, type MessageInitShape } from '@bufbuild/protobuf'
import { AssignmentUpdateSchema, ReplicaState, type ReplicaObservation } from '@cloudless/api'
import { CloudlessError, systemClock } from '@cloudless/base'
import { FakeRuntime } from '../testing/fake-runtime.ts'
import { QuietLogger, quietMetrics } from '../testing/quiet.ts'
import { waitFor } from '../testing/wait-for.ts'
import { openAssignmentRecord } from './assignment-record.ts'
import { Supervisor } from './supervisor.ts'

const update = (init: MessageInitShape<typeof AssignmentUpdateSchema>) =>
  create(AssignmentUpdateSchema, init)
const assign = (replicaId: string) => ({ replicaId, spec: { image: 'nginx:1' } })

/** A supervisor whose disk can be full. */
async function openOnDisk(t: TestContext) {
  const directory = mkdtempSync(join(tmpdir(), 'cloudless-refused-'))
  const disk = { full: false }
  const plain = openAssignmentRecord(join(directory, 'assignments'))
  const record = {
    ...plain,
    save: async (one: Parameters<typeof plain.save>[0]) => {
      if (disk.full) throw new CloudlessError('resource_exhausted', 'no space left on the disk')
      await plain.save(one)
    },
  }
  const runtime = new FakeRuntime()
  const supervisor = new Supervisor(
    { clock: systemClock, runtime, record, logger: new QuietLogger(), metrics: quietMetrics },
    { dataDirectory: directory, bootId: 'boot-1' },
  )
  t.after(async () => {
    await supervisor.close()
    rmSync(directory, { recursive: true, force: true })
  })
  await supervisor.start()
  const reported: ReplicaObservation[] = []
  supervisor.listen((observations) => reported.push(...observations))
  const saidOf = (id: string) => reported.findLast(({ replicaId }) => replicaId === id)
  const stageOf = (id: string) => supervisor.find(id)?.state.stage
  return { directory, disk, runtime, supervisor, saidOf, stageOf }
}

test('an assignment that a full disk refuses is said to be, and begun when there is room', async (t) => {
  const { directory, disk, runtime, supervisor, saidOf, stageOf } = await openOnDisk(t)
  disk.full = true
  const { recorded } = await supervisor.apply(update({ full: true, upsert: [assign('web-1')] }))
  assert.equal(recorded, false)
  const said = await waitFor('the reason', () => saidOf('web-1'))
  assert.equal(said.state, ReplicaState.STARTING)
  assert.equal(said.reason, 'DiskFull')
  assert.match(said.message, /no space left/)
  assert.deepEqual(runtime.requests, [])
  disk.full = false
  await waitFor('running', () => stageOf('web-1') === 'running')
  assert.ok(readdirSync(join(directory, 'assignments')).includes('web-1.json'))
})

test('a full disk does not hold up stops, which make room', async (t) => {
  const { disk, supervisor, saidOf, stageOf } = await openOnDisk(t)
  await supervisor.apply(update({ full: true, upsert: [assign('web-1')] }))
  await waitFor('running', () => stageOf('web-1') === 'running')
  disk.full = true
  await supervisor.apply(update({ upsert: [assign('web-2')] }))
  await supervisor.apply(update({ stop: [{ replicaId: 'web-1' }] }))
  await waitFor('removed', () => saidOf('web-1')?.removed)
})

test('a refused assignment that is stopped or not listed any more is not begun later', async (t) => {
  const { disk, runtime, supervisor, saidOf, stageOf } = await openOnDisk(t)
  disk.full = true
  await supervisor.apply(update({ full: true, upsert: [assign('web-1'), assign('web-2')] }))
  await supervisor.apply(update({ stop: [{ replicaId: 'web-1' }] }))
  await waitFor('removed', () => saidOf('web-1')?.removed)
  await supervisor.apply(update({ full: true, upsert: [assign('web-3')] }))
  disk.full = false
  await waitFor('running', () => stageOf('web-3') === 'running')
  assert.deepEqual(
    runtime.requests.map(({ replicaId }) => replicaId),
    ['web-3'],
  )
})
