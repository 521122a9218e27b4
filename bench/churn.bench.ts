/**
 * Ten nodes a minute go and come back for ten minutes, with real containers: programs killed, power lost, links cut,
 * machines drained and given back, two away at a time. What is asked: is a service ever taken below its min_available by
 * our own action? What falls below it because more died than it had to spare is measured beside it; how the two are told
 * apart is written in test/testkit/floor-watch.ts. MINUTES and CLOUDLESS_TEST_SEED change the run.
 */
import { seededRandom } from '@cloudless/base'
import {
  applyChurned,
  churnedServices,
  createChurn,
  startCluster,
  waitUntilWhole,
  watchFloor,
  type FloorWatch,
} from '@cloudless/test/testkit'
import { printTable, type Row } from './support/table.ts'

const minutes = Number(process.env['MINUTES'] ?? 10)
const seed = Number(process.env['CLOUDLESS_TEST_SEED'] ?? 1)
const nodesPerMinute = 10

const cluster = await startCluster({
  prefix: 'bchurn',
  subnet: '10.81.5',
  agents: ['a', 'b', 'c', 'd', 'e', 'f'].map((name) => ({ name, cpuCores: 2, memoryMb: 1024 })),
})
let floors: readonly FloorWatch[] = []
try {
  const churn = createChurn(cluster, {
    random: seededRandom(seed),
    nodes: minutes * nodesPerMinute,
    nodesPerMinute,
    awayMax: 2,
    awayMs: [2_000, 15_000],
  })
  await applyChurned(cluster)
  floors = churnedServices.map((service) =>
    watchFloor(cluster.client, { ...service, isBroken: churn.isBroken }),
  )
  const whenWhole = async (): Promise<void> => {
    await Promise.all(floors.map(({ watch }, n) => waitUntilWhole(watch, churnedServices[n]!)))
  }
  await whenWhole()
  await churn.run()
  await whenWhole()
  printTable(
    `${minutes * nodesPerMinute} nodes go and come back in ${minutes} minutes, seed ${seed}`,
    floors.flatMap(rowsOf),
  )
  for (const violation of floors.flatMap((floor) => floor.violations)) console.log(violation)
} finally {
  for (const floor of floors) floor.close()
  await cluster.stop()
}

function rowsOf(floor: FloorWatch): Row[] {
  const { name, violations, drops } = floor
  const dips = floor.dips()
  const { replicas, minAvailable } = churnedServices.find((service) => service.name === name)!
  const seconds = (ms: number): string => `${(ms / 1_000).toFixed(1)} s`
  const service = `${name}, ${replicas} replicas, at least ${minAvailable}`
  return [
    {
      figure: `${service}: below by our own action`,
      measured: `${violations.length} of ${drops.moved} moves`,
      wanted: '0',
      isMet: violations.length === 0,
    },
    {
      figure: `${service}: below because too many died`,
      measured:
        `${dips.length} times, longest ${seconds(Math.max(0, ...dips.map((dip) => dip.tookMs)))}; ` +
        `${drops.lost} replicas lost, ${drops['given up']} given up on nodes in order`,
      wanted: '(for scale)',
      isMet: true,
    },
  ]
}
