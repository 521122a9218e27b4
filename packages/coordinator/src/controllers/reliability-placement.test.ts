/** What is remembered of a node's comings and goings moves what is placed on it. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { create } from '@bufbuild/protobuf'
import { HelloSchema, NodePhase, type NodeRecord } from '@cloudless/api'
import { seededRandom } from '@cloudless/base'
import { reliabilityOf } from '../api/node-view.ts'
import { LiveNodes } from '../membership/live-nodes.ts'
import { livenessDefaults } from '../membership/liveness.ts'
import { historyUntil, historyWithLoss, historyWithReturn } from '../membership/node-history.ts'
import { cleanUp, eventually, openCluster, recordingReporter } from '../testing/cluster.ts'
import { FakeClock } from '../testing/fake-clock.ts'
import { nodeRecord, replicaRecord } from '../testing/records.ts'
import { schedulerDefaults } from '../testing/scheduling.ts'
import { PlacementController } from './placement-controller.ts'
import { SchedulerView } from './scheduler-view.ts'

const hourMs = 3_600_000
const dayMs = 24 * hourMs

/** A member of a month that was lost so often in its last week, each time for an hour, and came back. */
function memberLost(times: number, id: string, nowMs: number): NodeRecord {
  const begunMs = nowMs - 30 * dayMs
  let record = nodeRecord(id, { node: { createdAtMs: BigInt(begunMs) } })
  const until = (atMs: number) => historyUntil(record, { nowMs: atMs, watchedSinceMs: begunMs })
  const inPhase = (phase: NodePhase): NodeRecord => ({
    ...record,
    node: { ...record.node!, status: { ...record.node!.status!, phase } },
  })
  record = { ...record, history: until(begunMs) }
  for (let n = times; n > 0; n--) {
    const lostAtMs = nowMs - (n * 7 * dayMs) / (times + 1)
    const lost = historyWithLoss(record, { nowMs: lostAtMs, watchedSinceMs: begunMs })
    record = {
      ...inPhase(NodePhase.OFFLINE),
      history: lost,
      lostAtMs: BigInt(Math.round(lostAtMs)),
    }
    const watch = { nowMs: lostAtMs + hourMs, watchedSinceMs: begunMs }
    const history = historyWithReturn(record, watch, false)
    record = { ...inPhase(NodePhase.READY), history, lostAtMs: 0n }
  }
  return record
}

test('a node that was lost again and again is given less than one that stayed', async (t) => {
  const { state, put } = await openCluster(t)
  const clock = new FakeClock()
  const nowMs = clock.wallMs()
  await put('node', {
    'node-flaky': memberLost(20, 'node-flaky', nowMs),
    'node-steady': memberLost(0, 'node-steady', nowMs),
  })
  const liveNodes = new LiveNodes({ clock, onChange: () => undefined }, livenessDefaults)
  cleanUp(t, () => liveNodes.close())
  for (const nodeId of ['node-flaky', 'node-steady']) {
    liveNodes.connected(nodeId, create(HelloSchema, { nodeId, runtimeReady: true }))
  }
  const nodeView = { state, liveNodes, clock, startedAtMs: nowMs }
  const reliability = (id: string): number => reliabilityOf(nodeView, state.get('node', id)!)
  assert.ok(reliability('node-steady') - reliability('node-flaky') > 0.2)
  const view = new SchedulerView({
    state,
    liveNodes,
    clock,
    reliability,
    settings: schedulerDefaults,
  })
  cleanUp(t, () => view.close())
  const ids = Array.from({ length: 20 }, (_, n) => `web${n}-1`)
  const waiting = (id: string) => replicaRecord(id, { status: { workloadId: `default-${id}` } })
  await put('replica', Object.fromEntries(ids.map((id) => [id, waiting(id)])))
  const { report } = recordingReporter()
  const controller = new PlacementController({
    ...{ state, view, clock, random: seededRandom(1), report },
    onRefused: () => undefined,
  })
  cleanUp(t, () => controller.close())
  const placeOf = (id: string): string => state.get('replica', id)!.status!.nodeId
  await eventually(() => {
    clock.advance(10)
    return ids.every((id) => placeOf(id) !== '')
  })
  const flaky = ids.filter((id) => placeOf(id) === 'node-flaky').length
  assert.ok(flaky < ids.length / 4, `${flaky} of ${ids.length}`)
})
