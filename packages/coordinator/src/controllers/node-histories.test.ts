import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { ReplicaState } from '@cloudless/api'
import { CloudlessError } from '@cloudless/base'
import { deleteRecord, type Decision } from '../state/cluster-state.ts'
import { cleanUp, eventually, openCluster, recordingReporter } from '../testing/cluster.ts'
import { FakeClock } from '../testing/fake-clock.ts'
import { nodeRecord, readyReplica } from '../testing/records.ts'
import { NodeHistories } from './node-histories.ts'
import { stopping } from './replica-records.ts'

const minuteMs = 60_000

async function openHistories(t: TestContext) {
  const cluster = await openCluster(t)
  const { report, said } = recordingReporter()
  const clock = new FakeClock()
  await cluster.put('node', { 'node-a': nodeRecord('node-a'), 'node-b': nodeRecord('node-b') })
  let writes = 0
  cleanUp(
    t,
    cluster.state.listen((changes) => {
      writes += changes.filter(({ kind }) => kind === 'node').length
    }),
  )
  const { state } = cluster
  const told = { failing: false, sizes: [] as number[] }
  const watched = {
    all: state.all.bind(state),
    get: state.get.bind(state),
    held: state.held.bind(state),
    listen: state.listen.bind(state),
    update(decide: () => Decision<void> | undefined) {
      if (told.failing) return Promise.reject(new CloudlessError('unavailable', 'no leader'))
      return state.update(() => {
        const decision = decide()
        told.sizes.push(decision?.writes.length ?? 0)
        return decision
      })
    },
  } as unknown as typeof state
  const histories = new NodeHistories({ state: watched, clock, report })
  cleanUp(t, () => histories.close())
  const history = (id = 'node-a') => cluster.state.get('node', id)!.history
  return { ...cluster, clock, told, said, history, writes: () => writes }
}

test('what is remembered is written every ten minutes, and not in between', async (t) => {
  const { clock, history, writes } = await openHistories(t)
  clock.advance(10_000)
  await eventually(() => history()?.asOfMs === BigInt(clock.wallMs()))
  for (let n = 0; n < 59; n++) clock.advance(10_000)
  await eventually(() => writes() === 2)
  clock.advance(10_000)
  await eventually(() => writes() === 4)
  const { observedMs, availableMs } = history()!
  assert.ok(Math.abs(observedMs - 10 * minuteMs) < minuteMs && availableMs === observedMs)
})

test('how replicas fared counts for the node they were on', async (t) => {
  const { clock, history, put, state } = await openHistories(t)
  const started = { startedAtMs: 1n }
  await put('replica', {
    'web-1': readyReplica('web-1', 'node-a', { status: started }),
    'web-2': readyReplica('web-2', 'node-a', { status: started }),
    'web-3': readyReplica('web-3', 'node-a', { status: started }),
    'web-4': readyReplica('web-4', 'node-b', { status: started }),
  })
  const failed = { ...started, state: ReplicaState.FAILED }
  const lost = { ...started, state: ReplicaState.LOST }
  const ended = { ...started, state: ReplicaState.STOPPED }
  await put('replica', {
    'web-1': readyReplica('web-1', 'node-a', { status: failed }),
    'web-2': readyReplica('web-2', 'node-a', { status: ended }),
    'web-3': stopping(readyReplica('web-3', 'node-a', { status: started }), 'scaled', undefined),
    'web-4': readyReplica('web-4', 'node-b', { status: lost }),
  })
  await state.write({
    writes: [deleteRecord('replica', 'web-3'), deleteRecord('replica', 'web-4')],
  })
  clock.advance(10_000)
  await eventually(() => history() !== undefined)
  assert.deepEqual([history()!.replicasOk, history()!.replicasFailed], [2, 1])
  assert.deepEqual([history('node-b')!.replicasOk, history('node-b')!.replicasFailed], [0, 0])
})

test('how replicas fared is not forgotten when it could not be written', async (t) => {
  const { clock, history, put, told, said } = await openHistories(t)
  const failOn = async (id: string): Promise<void> => {
    await put('replica', { [id]: readyReplica(id, 'node-a') })
    const failed = readyReplica(id, 'node-a', { status: { state: ReplicaState.FAILED } })
    await put('replica', { [id]: failed })
  }
  told.failing = true
  await failOn('web-1')
  clock.advance(10_000)
  await eventually(() => said.length === 1)
  await failOn('web-2')
  told.failing = false
  await clock.pass(20_000, 10_000)
  await eventually(() => history()?.replicasFailed === 2)
})

test('many nodes are written a part at a time, and all of them', async (t) => {
  const { clock, put, state, told } = await openHistories(t)
  const ids = Array.from({ length: 118 }, (_, n) => `node-${n}`)
  await put('node', Object.fromEntries(ids.map((id) => [id, nodeRecord(id)])))
  clock.advance(10_000)
  await eventually(() => ids.every((id) => state.get('node', id)!.history !== undefined))
  assert.deepEqual(told.sizes, [50, 50, 20])
})
