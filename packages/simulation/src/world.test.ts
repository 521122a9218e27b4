import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { create } from '@bufbuild/protobuf'
import { ApplyWorkloadRequestSchema, ReplicaState } from '@cloudless/api'
import { imageOf } from './container-behaviour.ts'
import type { Settling } from './settle.ts'
import { World } from './world.ts'

const lifeMs = 900_000

async function liveAWhile(seed: number, settling: Settling = 'quick'): Promise<World> {
  const world = new World({ seed, settling })
  world.coordinator.start()
  await world.until(() => world.coordinator.running !== undefined, 5_000)
  const joined = Promise.all(['a', 'b', 'c', 'd'].map((name) => world.join({ name })))
  await world.run(1_000)
  const nodes = await joined
  const workload = { name: 'web', spec: { image: imageOf('steady', 1), replicas: 6 } }
  void world.coordinator.running!.workloads.applyWorkload(
    create(ApplyWorkloadRequestSchema, { workload }),
  )
  await world.run(60_000)
  nodes[0]!.powerOff()
  await world.run(60_000)
  nodes[0]!.powerOn()
  world.coordinator.kill({ isPowerLoss: false })
  await world.run(5_000)
  world.coordinator.start()
  await world.run(lifeMs - world.nowMs)
  return world
}

describe('a simulated cluster', () => {
  it('brings a workload up, loses a node and its coordinator, and comes back', async () => {
    const world = await liveAWhile(1)
    const { state } = world.coordinator.running!
    const replicas = [...state.all('replica')].map(({ record }) => record.status!)
    assert.deepEqual(
      replicas.map(({ state: now, ready }) => [now, ready]),
      Array.from({ length: 6 }, () => [ReplicaState.RUNNING, true]),
    )
  })

  it('is the same each time it is run, in whatever order, and another with another seed', async () => {
    const first = [(await liveAWhile(1)).trace.fingerprint, (await liveAWhile(2)).trace.fingerprint]
    const second = [
      (await liveAWhile(2)).trace.fingerprint,
      (await liveAWhile(1)).trace.fingerprint,
    ]
    assert.deepEqual(second.toReversed(), first)
    assert.notEqual(first[0], first[1])
  })

  it('is the same when every event has a turn of the event loop of its own', async () => {
    const quick = await liveAWhile(1)
    const turns = await liveAWhile(1, 'turns')
    assert.equal(turns.trace.fingerprint, quick.trace.fingerprint)
  })
})
