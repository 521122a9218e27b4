/**
 * Machines come and go while services run: agents are killed, power fails, links are cut, people drain. No service is
 * taken below its min_available by what we do, and all are whole when it is over. `bench/churn.bench.ts` does it for ten
 * minutes. CLOUDLESS_TEST_SEED repeats a run's choices.
 */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { seededRandom } from '@cloudless/base'
import {
  applyChurned,
  churnedServices,
  createChurn,
  sayDips,
  startCluster,
  waitUntilWhole,
  watchFloor,
  type Cluster,
} from '@cloudless/test/testkit'

const nodes = 5

let cluster: Cluster

before(async () => {
  cluster = await startCluster({
    prefix: 'tchurn',
    subnet: '10.80.33',
    agents: ['a', 'b', 'c', 'd'].map((name) => ({ name, cpuCores: 2, memoryMb: 1024 })),
  })
})

after(() => cluster?.stop())

test('services are kept at min_available by all that we do, and are whole afterwards', async (t) => {
  const seed = Number(process.env['CLOUDLESS_TEST_SEED'] ?? 20_261_127)
  t.diagnostic(`seed ${seed}`)
  const churn = createChurn(cluster, {
    random: seededRandom(seed),
    nodes,
    nodesPerMinute: 15,
    awayMax: 2,
    awayMs: [1_000, 6_000],
  })
  await applyChurned(cluster)
  const floors = churnedServices.map((service) =>
    watchFloor(cluster.client, { ...service, isBroken: churn.isBroken }),
  )
  t.after(() => floors.forEach((floor) => floor.close()))
  const areWhole = (): Promise<unknown> =>
    Promise.all(floors.map(({ watch }, n) => waitUntilWhole(watch, churnedServices[n]!)))
  await areWhole()
  await churn.run()
  await areWhole()
  for (const floor of floors) t.diagnostic(sayDips(floor))
  const violations = floors.flatMap((floor) => floor.violations)
  assert.deepEqual(violations, [], churn.history.join('; '))
})
