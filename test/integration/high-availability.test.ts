/**
 * Three coordinators of which one leads: when it dies, hangs or is cut off another does, and nothing that was acknowledged
 * is lost; what runs on the nodes is not touched. `test/chaos/coordinators.test.ts` is the long form.
 */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import {
  applyWorkload,
  createCtl,
  createStrikes,
  findSharedTerms,
  replicasOf,
  runChaos,
  runningContainers,
  sayChaos,
  startCoordinators,
  waitForReady,
  writeCliConfig,
  type CoordinatorFault,
  type Coordinators,
  type Strikes,
} from '@cloudless/test/testkit'

const nodes = ['a', 'b'] as const

let cluster: Coordinators
let strikes: Strikes

before(async () => {
  cluster = await startCoordinators({
    prefix: 'tha',
    subnet: '10.80.61',
    agents: nodes.map((name) => ({ name, cpuCores: 2, memoryMb: 1024 })),
  })
  strikes = createStrikes(cluster)
  await applyWorkload(cluster, { name: 'web', replicas: 4 })
  await waitForReady(cluster, 'web', 4)
})

after(() => cluster?.stop())

/** Of each replica which container it is and how often it was restarted; of each node what really runs. */
async function whatRuns(): Promise<unknown> {
  const replicas = await replicasOf(cluster, 'web')
  return {
    replicas: replicas
      .map(({ id, containerId, restartCount = 0 }) => `${id} ${containerId} ${restartCount}`)
      .toSorted(),
    containers: await Promise.all(nodes.map((node) => runningContainers(cluster, node))),
  }
}

const some: CoordinatorFault = {
  kind: 'killed',
  who: 'leader',
  which: 0,
  holdMs: 1_000,
  percent: 0,
  afterMs: 500,
  beside: false,
}

for (const [seed, property, fault] of [
  [1, 'the leader is killed', { kind: 'killed' }],
  [2, 'the leader hangs, longer than its lease, and goes on', { kind: 'held up', holdMs: 3_000 }],
  [3, 'the leader is cut off from everybody', { kind: 'cut off', holdMs: 3_000 }],
  [4, 'all are killed', { kind: 'all killed with etcd', holdMs: 500 }],
  [5, 'all are restarted in turn', { kind: 'restarted in turn', holdMs: 0 }],
] as const) {
  test(`when ${property}, no acknowledged call is lost and no container is touched`, async (t) => {
    const before = await whatRuns()
    const report = await runChaos(cluster, strikes, { seed, faults: [{ ...some, ...fault }] })
    t.diagnostic(sayChaos(report))
    assert.deepEqual(
      report.violations.map(({ kind, what }) => `${kind}: ${what}`),
      [],
    )
    assert.deepEqual(report.ended, [])
    await waitForReady(cluster, 'web', 4)
    assert.deepEqual(await whatRuns(), before)
  })
}

test('a CLI that was set up with one address finds the other coordinators when that one is away', async () => {
  const configFile = join(cluster.directory, 'one-address.yaml')
  const [first] = cluster.all
  const credentialsDirectory = join(cluster.directory, 'operator')
  writeCliConfig(configFile, { name: 'one', coordinator: first!.address, credentialsDirectory })
  const ctl = createCtl(configFile)
  await ctl.text(['node', 'list'])
  await first!.kill()
  try {
    assert.match(await ctl.text(['node', 'list']), /READY/)
  } finally {
    await first!.start()
  }
})

test('in no term more than one led', () => {
  const { terms, shared } = findSharedTerms(cluster.all)
  assert.deepEqual(shared, [])
  assert.ok(terms >= 4, `there were only ${terms} terms`)
})
