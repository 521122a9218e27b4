/** Work that moves: drains, forced ones too, nodes that were only cut off, and work that is given back. */
import assert from 'node:assert/strict'
import { after, before, beforeEach, test } from 'node:test'
import {
  applyWorkload,
  replicasOf,
  runningContainers,
  startCluster,
  waitFor,
  waitForReady,
  waitForReplicas,
  type Cluster,
  type ReplicaView,
} from '@cloudless/test/testkit'

let cluster: Cluster
const names = ['a', 'b', 'c']

before(async () => {
  cluster = await startCluster({
    prefix: 'tdrain',
    subnet: '10.80.41',
    agents: names.map((name) => ({ name, cpuCores: 2, memoryMb: 1024 })),
  })
  await applyWorkload(cluster, {
    name: 'web',
    replicas: 3,
    spec: {
      rollout: { max_surge: 1, max_unavailable: 0, min_available: 3 },
      rebalance: { enabled: true, interval: '1s' },
    },
  })
})

beforeEach(async () => {
  for (const name of names) await cluster.waitForPhase(name, 'READY')
  await waitForReady(cluster, 'web', 3)
})

after(() => cluster?.stop())

const countOn = (replicas: readonly ReplicaView[], node: string): number =>
  replicas.filter(({ nodeName }) => nodeName === node).length

/** The fewest of them that were ready at any time, until the signal. */
async function fewestReady(until: AbortSignal): Promise<number> {
  let fewest = Number.POSITIVE_INFINITY
  while (!until.aborted) {
    const ready = (await replicasOf(cluster, 'web')).filter((replica) => replica.ready === true)
    fewest = Math.min(fewest, ready.length)
  }
  return fewest
}

test('a drain moves everything with all of min_available ready throughout, and tells how far it is', async () => {
  const over = new AbortController()
  const watching = fewestReady(over.signal)
  const { code, stderr } = await cluster.ctl.run(['node', 'drain', 'b', '--wait'])
  over.abort()
  assert.equal(code, 0, stderr)
  assert.equal(await watching, 3)
  assert.match(stderr, /web-\w+: its replacement web-\w+ (is|waits)/)
  assert.equal(countOn(await waitForReady(cluster, 'web', 3), 'b'), 0)
  await waitFor(async () => (await runningContainers(cluster, 'b')).length === 0, {
    what: 'nothing to run on b',
  })

  // It takes part again, and is given work back.
  await cluster.ctl.text(['node', 'uncordon', 'b'])
  const what = 'one replica on each node'
  await waitForReplicas(cluster, 'web', { what, deadlineMs: 60_000 }, (replicas) => {
    const isEven = names.every((name) => countOn(replicas, name) === 1)
    return isEven && replicas.length === 3 && replicas.every(({ ready }) => ready === true)
  })
})

test('a node that was only cut off keeps its replica, and what stood in for it goes', async () => {
  const before = await replicasOf(cluster, 'web')
  const { id, nodeName: lost } = before[0]!
  const { link } = cluster.agent(lost!).host
  await link.cut()
  await waitForReplicas(cluster, 'web', { what: `three ready, none on ${lost}` }, (replicas) => {
    const elsewhere = replicas.filter((r) => r.ready === true && r.nodeName !== lost)
    return elsewhere.length === 3
  })
  assert.ok((await runningContainers(cluster, lost!)).includes(id))
  await link.heal()
  await cluster.waitForPhase(lost!, 'READY')
  const after = await waitForReady(cluster, 'web', 3)
  const ids = (replicas: readonly ReplicaView[]) => replicas.map((r) => r.id).toSorted()
  assert.deepEqual(ids(after), ids(before))
  const kept = after.find((replica) => replica.id === id)
  assert.equal(kept?.restartCount ?? 0, before[0]!.restartCount ?? 0)
  await waitFor(
    async () =>
      (await Promise.all(names.map((name) => runningContainers(cluster, name)))).flat().length ===
      3,
    { what: 'exactly three containers to run' },
  )
})

test('what can go nowhere says so, and is stopped at the deadline of a drain that is forced', async () => {
  const placement = { node_selector: { 'cloudless.io/node': 'c' } }
  await applyWorkload(cluster, { name: 'pinned', spec: { placement } })
  await waitForReady(cluster, 'pinned', 1)
  const patient = await cluster.ctl.run(['node', 'drain', 'c', '--wait', '--timeout', '6s'])
  assert.equal(patient.code, 1, patient.stderr)
  assert.match(patient.stderr, /pinned-\w+: its replacement pinned-\w+ waits for a place: 0 of 3/)
  assert.equal((await replicasOf(cluster, 'pinned')).filter((r) => r.ready === true).length, 1)
  const described = (await cluster.ctl.run(['node', 'describe', 'c'])).stdout
  assert.match(described, /its replacement pinned-\w+ waits for a place/)

  const drain = ['node', 'drain', 'c', '--wait', '--force', '--timeout', '2s']
  const forced = await cluster.ctl.run(drain)
  assert.equal(forced.code, 0, forced.stderr)
  await waitFor(async () => (await runningContainers(cluster, 'c')).length === 0, {
    what: 'nothing to run on c',
  })
  await cluster.ctl.text(['node', 'uncordon', 'c'])
  await waitForReady(cluster, 'pinned', 1)
})

test('a replica that must not run without the coordinator is stopped by its own node', async () => {
  const on_disconnect = { stop_after: '3s', replace_after: '6s' }
  const placement = { node_selector: { 'cloudless.io/node': 'a' } }
  await applyWorkload(cluster, { name: 'single', spec: { on_disconnect, placement } })
  const [single] = await waitForReady(cluster, 'single', 1)
  const { link } = cluster.agent('a').host
  await link.cut()
  const runs = async () => (await runningContainers(cluster, 'a')).includes(single!.id)
  await waitFor(async () => !(await runs()), { what: 'it to be stopped on its node' })
  await link.heal()
  // What was dialled into the cut is tried again by TCP only after ever longer waits.
  await waitForReady(cluster, 'single', 1, 90_000)
})
