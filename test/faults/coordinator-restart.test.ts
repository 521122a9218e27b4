/** The coordinator is killed at any moment: nothing acknowledged is lost, and nothing that runs stops. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { between, seededRandom, sleep, systemClock } from '@cloudless/base'
import {
  applyWorkload,
  manifestOf,
  replicasOf,
  runningContainers,
  startCluster,
  waitForReady,
  type Cluster,
} from '@cloudless/test/testkit'

let cluster: Cluster

before(async () => {
  cluster = await startCluster({
    prefix: 'tcoord',
    subnet: '10.80.5',
    agents: ['a', 'b'].map((name) => ({ name, cpuCores: 2, memoryMb: 2048 })),
  })
})

after(() => cluster?.stop())

test('containers run on without it, and it finds everything as it was', async () => {
  await applyWorkload(cluster, { name: 'web', replicas: 2 })
  const before = (await waitForReady(cluster, 'web', 2)).map(({ id }) => id).toSorted()
  await cluster.coordinator.kill()
  const unreachable = await cluster.ctl.run(['node', 'list'])
  assert.equal(unreachable.code, 5)
  assert.match(unreachable.stderr, /annot reach the coordinator/)
  const running = await Promise.all(['a', 'b'].map((name) => runningContainers(cluster, name)))
  assert.deepEqual(running.flat().toSorted(), before)
  await cluster.coordinator.start()
  for (const name of ['a', 'b']) await cluster.waitForPhase(name, 'READY')
  assert.deepEqual((await waitForReady(cluster, 'web', 2)).map(({ id }) => id).toSorted(), before)
})

test('what was acknowledged before a kill at a random moment is there after it', async (t) => {
  const seed = Number(process.env['CLOUDLESS_TEST_SEED'] ?? 20_261_120)
  t.diagnostic(`seed ${seed}`)
  const random = seededRandom(seed)
  const acknowledged: string[] = []
  for (let round = 0; round < 4; round++) {
    const killed = sleep(systemClock, between(random, 50, 900)).then(() =>
      cluster.coordinator.kill(),
    )
    for (let n = 0; n < 6; n++) {
      const name = `kept-${round}-${n}`
      const manifest = manifestOf({ name, command: ['sleep', '1000'], replicas: 0 })
      const applied = await cluster.ctl.run(['apply', '-f', '-'], { input: manifest })
      if (applied.code === 0) acknowledged.push(name)
    }
    await killed
    await cluster.coordinator.start()
    const items = await cluster.ctl.items<{ name: string }>(['workload', 'list'])
    const lost = acknowledged.filter((name) => !items.some((item) => item.name === name))
    assert.deepEqual(lost, [])
  }
  for (const name of ['a', 'b']) await cluster.waitForPhase(name, 'READY')
  assert.equal((await replicasOf(cluster, 'web')).length, 2)
})
