/** Jobs, daemons and crons with real containers: work that ends, work that is everywhere, work that is due. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import {
  applyWorkload,
  startCluster,
  waitFor,
  waitForReplicas,
  type Cluster,
  type ReplicaView,
} from '@cloudless/test/testkit'

let cluster: Cluster

before(async () => {
  cluster = await startCluster({
    prefix: 'tkinds',
    subnet: '10.80.43',
    agents: ['a', 'b'].map((name) => ({ name, cpuCores: 2, memoryMb: 1024 })),
  })
})

after(() => cluster?.stop())

interface JobView {
  readonly status?: {
    readonly phase?: string
    readonly job?: {
      readonly succeeded?: number
      readonly failed?: number
      readonly outcome?: string
    }
  }
}

async function jobOf(name: string): Promise<NonNullable<NonNullable<JobView['status']>['job']>> {
  return (await cluster.ctl.json<JobView>(['workload', 'get', name])).status?.job ?? {}
}

function shell(script: string): readonly string[] {
  return ['/bin/sh', '-c', script]
}

async function waitForOutcome(name: string, outcome: string): Promise<void> {
  await waitFor(async () => (await jobOf(name)).outcome === outcome, {
    what: `job ${name} to be ${outcome}`,
    deadlineMs: 60_000,
    describe: async () => (await cluster.ctl.run(['workload', 'describe', name])).stdout,
  })
}

const isReady = ({ ready }: ReplicaView): boolean => ready === true

test('a job tries again elsewhere what failed on one node, and is complete', async () => {
  const [a] = (await cluster.nodes()).filter(({ name }) => name === 'a')
  const network = a!.podCidr!.split('.').slice(0, 3).join('.')
  // On node a it fails, by the address it has there.
  const script = `grep -q '${network}\\.' /proc/net/fib_trie && exit 1; echo done; exit 0`
  const job = { completions: 3, parallelism: 2, retries: 6 }
  await applyWorkload(cluster, {
    name: 'crunch',
    command: shell(script),
    spec: { type: 'JOB', job },
  })
  const { code, stderr } = await cluster.ctl.run([
    ...['workload', 'status', 'crunch', '--wait', '--timeout', '90s'],
  ])
  assert.equal(code, 0, stderr)
  const { succeeded, failed, outcome } = await jobOf('crunch')
  assert.equal(succeeded, 3)
  assert.ok((failed ?? 0) >= 1, 'one at least began on node a')
  assert.equal(outcome, 'complete')
  // What ended is kept, with what it wrote, and holds nothing.
  const ended = await waitForReplicas(cluster, 'crunch', { what: 'ended' }, (all) =>
    all.every(({ state }) => state === 'REPLICA_STATE_STOPPED' || state === 'REPLICA_STATE_FAILED'),
  )
  const well = ended.find(({ state }) => state === 'REPLICA_STATE_STOPPED')!
  assert.match(await cluster.ctl.text(['workload', 'logs', 'crunch', '--replica', well.id]), /done/)
  const fragments = await cluster.ctl.items<{ workloadName: string }>(['vrn', 'fragments'])
  assert.deepEqual(
    fragments.filter(({ workloadName }) => workloadName === 'crunch'),
    [],
  )
})

test('a job whose retries are used up has failed, and says so to who waits', async () => {
  const job = { retries: 1 }
  await applyWorkload(cluster, {
    name: 'hopeless',
    command: shell('exit 3'),
    spec: { type: 'JOB', job },
  })
  const { code, stderr } = await cluster.ctl.run([
    ...['workload', 'status', 'hopeless', '--wait', '--timeout', '60s'],
  ])
  assert.equal(code, 1)
  assert.match(stderr, /2 failed; its retries are used up/)
})

test('a job is counted right although the coordinator is killed while it runs', async () => {
  const job = { completions: 6, parallelism: 3 }
  const command = shell('sleep 1; exit 0')
  await applyWorkload(cluster, { name: 'steady', command, spec: { type: 'JOB', job } })
  await waitFor(async () => ((await jobOf('steady')).succeeded ?? 0) > 0, {
    what: 'the first attempt to end',
    deadlineMs: 30_000,
  })
  await cluster.coordinator.kill()
  await cluster.coordinator.start()
  await waitForOutcome('steady', 'complete')
  assert.equal((await jobOf('steady')).succeeded, 6)
})

test('a daemon is on every node, also on one that joins, and stays through a drain', async () => {
  await applyWorkload(cluster, { name: 'report', spec: { type: 'DAEMON' } })
  const placed = (nodes: string) => (all: readonly ReplicaView[]) =>
    all.every(isReady) &&
    all
      .map(({ nodeName }) => nodeName)
      .sort()
      .join(' ') === nodes
  await waitForReplicas(cluster, 'report', { what: 'on both' }, placed('a b'))
  await cluster.addAgent({ name: 'c', cpuCores: 2, memoryMb: 1024 })
  await waitForReplicas(cluster, 'report', { what: 'on all three' }, placed('a b c'))
  const before = await cluster.ctl.items<ReplicaView>(['workload', 'replicas', 'report'])
  await cluster.ctl.text(['node', 'drain', 'b'])
  const { code } = await cluster.ctl.run([
    'workload',
    'status',
    'report',
    '--wait',
    '--timeout',
    '20s',
  ])
  assert.equal(code, 0)
  const idsOf = (all: readonly ReplicaView[]): string[] => all.map(({ id }) => id).sort()
  const now = await cluster.ctl.items<ReplicaView>(['workload', 'replicas', 'report'])
  assert.deepEqual(idsOf(now), idsOf(before))
  await cluster.ctl.text(['node', 'uncordon', 'b'])
})

test('a cron is run by hand, and takes its jobs with it', async () => {
  const spec = { type: 'CRON', cron: { schedule: '0 3 1 1 *', time_zone: 'Europe/Berlin' } }
  await applyWorkload(cluster, { name: 'backup', command: shell('exit 0'), spec })
  const { code, stdout, stderr } = await cluster.ctl.run([
    ...['workload', 'run', 'backup', '--wait', '--timeout', '60s'],
  ])
  assert.equal(code, 0, stderr)
  const [, job] = /workload (\S+) created/.exec(stdout)!
  await waitForOutcome(job!, 'complete')
  await cluster.ctl.text(['delete', 'workload', 'backup', '--wait'])
  await assert.rejects(cluster.ctl.text(['workload', 'get', job!]), /no workload/)
})
