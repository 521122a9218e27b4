/** Many nodes vanish together: real state, real membership and node controller, on a clock of ours. */
import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { create } from '@bufbuild/protobuf'
import { HelloSchema, NodePhase, ReplicaState } from '@cloudless/api'
import { seededRandom } from '@cloudless/base'
import { LiveNodes } from '../membership/live-nodes.ts'
import { livenessDefaults } from '../membership/liveness.ts'
import { cleanUp, eventually, openCluster, recordingReporter } from '../testing/cluster.ts'
import { FakeClock } from '../testing/fake-clock.ts'
import { nodeRecord, readyReplica } from '../testing/records.ts'
import { MassLossController } from './mass-loss-controller.ts'
import { NodeController } from './node-controller.ts'

const options = { holdMs: 300_000, evictionsPerMinute: 1 }
const intervalMs = livenessDefaults.heartbeatIntervalMs

/** So many nodes, each with a replica, heard on time for a minute. */
async function openMany(t: TestContext, count: number) {
  const cluster = await openCluster(t)
  const { report, said } = recordingReporter()
  const clock = new FakeClock()
  const ids = Array.from({ length: count }, (_, n) => `node-${String(n).padStart(2, '0')}`)
  await cluster.put('node', Object.fromEntries(ids.map((id) => [id, nodeRecord(id)])))
  const replicas = ids.map((id) => readyReplica(`web-${id}`, id))
  await cluster.put('replica', Object.fromEntries(replicas.map((r) => [r.status!.id, r])))
  const { state } = cluster
  const hello = (nodeId: string) => create(HelloSchema, { nodeId, bootId: 'b', runtimeReady: true })

  /** A coordinator, from its start on. */
  function start() {
    const look = (nodeId: string): void => controller.look(nodeId)
    const liveNodes = new LiveNodes({ clock, onChange: look }, livenessDefaults)
    for (const { id, record } of state.all('node')) {
      if (record.node!.status!.phase === NodePhase.OFFLINE) liveNodes.presumeLost(id)
      else liveNodes.expect(id)
    }
    const deps = { state, clock, liveNodes, report }
    const massLoss = new MassLossController({ ...deps, onRelease: look }, options)
    const controller = new NodeController({ ...deps, massLoss, random: seededRandom(1) })
    const close = async (): Promise<void> => {
      liveNodes.close()
      massLoss.close()
      await controller.close()
    }
    cleanUp(t, close)
    return { liveNodes, massLoss, close }
  }
  let now = start()

  const hear = (nodeIds: readonly string[], afterMs: number): void => {
    clock.advance(afterMs)
    for (const id of nodeIds) now.liveNodes.heard(id)
  }
  const beat = (nodeIds: readonly string[], beats: number): void => {
    for (let n = 0; n < beats; n++) hear(nodeIds, intervalMs)
  }
  /** All are heard, but every tenth heartbeat of these has to be sent again. */
  const beatOnBadLinks = (nodeIds: readonly string[], beats: number): void => {
    const others = ids.filter((id) => !nodeIds.includes(id))
    for (let n = 0; n < beats; n += 10) {
      beat(ids, 9)
      hear(others, intervalMs)
      hear(nodeIds, 200)
      hear(ids, intervalMs - 200)
    }
  }
  const connect = (nodeIds: readonly string[]): void => {
    for (const id of nodeIds) {
      now.liveNodes.connected(id, hello(id))
      now.liveNodes.ask(id)
    }
  }
  connect(ids)
  beat(ids, 120)
  const replicaOf = (id: string) => state.get('replica', `web-${id}`)!
  return {
    ...{ ids, clock, state, beat, beatOnBadLinks, connect, replicaOf },
    massLoss: () => now.massLoss,
    words: () => said.map(({ what }) => what).filter((what) => what.startsWith('massLoss')),
    restart: async () => {
      await now.close()
      now = start()
    },
    phase: (id: string) => state.get('node', id)!.node!.status!.phase,
    /** When each replica that is lost is to be replaced, from now on; undefined: it is not lost. */
    replacedInMs: (id: string) => {
      const { status, replaceAtMs } = replicaOf(id)
      if (status!.state !== ReplicaState.LOST) return undefined
      return replaceAtMs > 0n ? Number(replaceAtMs) - clock.wallMs() : Number(replaceAtMs)
    },
  }
}

type Many = Awaited<ReturnType<typeof openMany>>

async function vanish(many: Many, gone: readonly string[]): Promise<readonly string[]> {
  const left = many.ids.filter((id) => !gone.includes(id))
  many.beat(left, 4)
  await eventually(() => gone.every((id) => many.phase(id) === NodePhase.OFFLINE))
  await eventually(() => gone.every((id) => many.replacedInMs(id) !== undefined))
  return left
}

test('of three nodes two may die and are replaced at once', async (t) => {
  const many = await openMany(t, 3)
  await vanish(many, many.ids.slice(0, 2))
  assert.deepEqual(many.ids.slice(0, 2).map(many.replacedInMs), [0, 0])
  assert.deepEqual(many.words(), [])
  assert.equal(many.massLoss().status(), undefined)
})

test('half of forty vanish: all are OFFLINE, none of what they ran is replaced, and it is said', async (t) => {
  const many = await openMany(t, 40)
  const gone = many.ids.slice(0, 20)
  await vanish(many, gone)
  for (const id of gone) assert.ok(many.replacedInMs(id)! > 290_000, id)
  assert.match(many.replicaOf(gone[0]!).status!.message, /vanished together/)
  assert.deepEqual(many.words(), ['massLossBegun'])
  const status = many.massLoss().status()!
  assert.deepEqual([status.vanished, status.held], [20, 20])
})

test('they come back within minutes: hardly any is replaced, and what is left then is', async (t) => {
  const many = await openMany(t, 40)
  const gone = many.ids.slice(0, 20)
  const left = await vanish(many, gone)
  many.beat(left, 180)
  await eventually(() => gone.filter((id) => many.replacedInMs(id) === 0).length === 1)
  const back = gone.slice(1, 19)
  many.connect(back)
  await eventually(() => back.every((id) => many.phase(id) === NodePhase.READY))
  many.beat([...left, ...back], 32)
  await eventually(() => many.replacedInMs(gone[19]!) === 0)
  await eventually(() => many.massLoss().heldCount === 0)
  many.beat([...left, ...back], 32)
  assert.deepEqual(many.words(), ['massLossBegun', 'massLossOver'])
  for (const id of back) assert.equal(many.state.get('node', id)!.heldUntilMs, 0n)
})

test('they stay away: one a minute is replaced, and all when the hold is over', async (t) => {
  const many = await openMany(t, 8)
  const gone = many.ids.slice(0, 7)
  const left = await vanish(many, gone)
  const replaced = (): number => gone.filter((id) => many.replacedInMs(id) === 0).length
  for (let minute = 1; minute <= 4; minute++) {
    many.beat(left, 120)
    await eventually(
      () => replaced() === minute,
      () => replaced(),
    )
  }
  many.beat(left, 120)
  await eventually(() => replaced() === 7)
  await eventually(() => many.massLoss().heldCount === 0)
})

test('what is silent on a bad link, and is given up much later, is not back', async (t) => {
  const many = await openMany(t, 7)
  const [servers, phones] = [many.ids.slice(0, 3), many.ids.slice(3)]
  many.beatOnBadLinks(phones, 300)
  const arePhonesKept = (): boolean => phones.every((id) => many.phase(id) === NodePhase.READY)
  const letGo = (): string[] => servers.filter((id) => many.massLoss().isReleased(id, Infinity))
  many.beat([], 4)
  await eventually(() => servers.every((id) => many.replacedInMs(id)! > 0))
  many.beat([], 34)
  assert.deepEqual([arePhonesKept(), letGo()], [true, []])
  many.beat(phones, 64)
  await eventually(() => servers.every((id) => many.replacedInMs(id) === 0))
  assert.ok(arePhonesKept())
})

test('a restart in the middle forgets nothing', async (t) => {
  const many = await openMany(t, 12)
  const gone = many.ids.slice(0, 6)
  const left = await vanish(many, gone)
  many.beat(left, 20)
  await many.restart()
  many.connect(left)
  assert.equal(many.massLoss().heldCount, 6)
  for (const id of gone) assert.ok(many.replacedInMs(id)! > 0)
  many.beat(left, 120)
  await eventually(() => gone.filter((id) => many.replacedInMs(id) === 0).length === 1)
  const back = gone.slice(1)
  many.connect(back)
  await eventually(() => back.every((id) => many.phase(id) === NodePhase.READY))
  many.beat([...left, ...back], 40)
  assert.equal(many.massLoss().status(), undefined)
  assert.deepEqual(many.words(), ['massLossBegun', 'massLossOver'])
})

test('a restart after the hold is over lets them go', async (t) => {
  const many = await openMany(t, 6)
  const gone = many.ids.slice(0, 4)
  await vanish(many, gone)
  many.clock.stall(options.holdMs)
  await many.restart()
  many.clock.advance(10)
  await eventually(() => gone.every((id) => many.state.get('node', id)!.heldUntilMs === 0n))
  for (const id of gone) assert.equal(many.replacedInMs(id), 0)
})

test('nobody comes back after a restart of ours: it is our network', async (t) => {
  const many = await openMany(t, 12)
  await many.restart()
  many.clock.advance(16_000)
  await eventually(() => many.ids.every((id) => many.replacedInMs(id) !== undefined))
  for (const id of many.ids) assert.ok(many.replacedInMs(id)! > 0)
})
