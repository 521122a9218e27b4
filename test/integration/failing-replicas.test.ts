/** Things that go wrong with containers: each ends in a status that says what happened. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import {
  applyWorkload,
  startCluster,
  waitForReady,
  waitForReplicas,
  type Cluster,
  type ReplicaView,
  type WorkloadWish,
} from '@cloudless/test/testkit'

let cluster: Cluster

before(async () => {
  cluster = await startCluster({
    prefix: 'tfault',
    subnet: '10.80.8',
    agents: [{ name: 'a', cpuCores: 4, memoryMb: 4096 }],
  })
})

after(() => cluster?.stop())

/** Applies it and waits until its one replica says something that matches. */
async function waitForReason(wish: WorkloadWish, reason: RegExp): Promise<ReplicaView> {
  await applyWorkload(cluster, wish)
  const [replica] = await waitForReplicas(
    cluster,
    wish.name,
    { what: `the reason ${reason}`, deadlineMs: 30_000 },
    ([first]) =>
      reason.test(`${first?.state ?? ''} ${first?.reason ?? ''} ${first?.message ?? ''}`),
  )
  return replica!
}

test('an image of a registry that is not there: says so, and is tried again', async () => {
  const replica = await waitForReason(
    { name: 'unreachable', image: '10.80.8.253:5999/nothing:1' },
    /ErrImagePull|ImagePullBackOff/,
  )
  assert.match(replica.message ?? '', /10\.80\.8\.253:5999/)
  assert.notEqual(replica.ready, true)
})

test('a command that is not in the image is named', async () => {
  const replica = await waitForReason(
    { name: 'no-command', command: ['/bin/not-there'] },
    /not-there/,
  )
  assert.notEqual(replica.ready, true)
})

test('a container that ends again and again: crash loop, exit code, next attempt', async () => {
  const replica = await waitForReason(
    { name: 'crashing', command: ['/bin/sh', '-c', 'exit 3'] },
    /CrashLoopBackOff/,
  )
  assert.match(replica.message ?? '', /3/)
})

test('a container over its memory limit is killed: OOMKilled, with the limit', async () => {
  const fill = 'a=x; while true; do a=$a$a; done'
  const replica = await waitForReason(
    {
      name: 'greedy',
      command: ['/bin/sh', '-c', fill],
      spec: {
        resources: {
          requests: { cpu_millicores: 50, memory_bytes: '16Mi' },
          limits: { cpu_millicores: 500, memory_bytes: '32Mi' },
        },
      },
    },
    /OOMKilled|more memory than its limit/,
  )
  assert.match(replica.message ?? '', /limit of 32Mi/)
})

test('a replica whose readiness probe never passes runs, is never ready, and says why', async () => {
  const probe = { http: { path: '/nowhere', port: 8080 }, initial_delay: '0s', period: '1s' }
  await applyWorkload(cluster, { name: 'unready', spec: { readiness_probe: probe } })
  const [replica] = await waitForReplicas(
    cluster,
    'unready',
    {
      what: 'running, and why it is not ready: what the server answers, once it listens',
    },
    ([first]) =>
      first?.state === 'REPLICA_STATE_RUNNING' &&
      first.reason === 'NotReady' &&
      /readiness probe fails: HTTP 404 .*\/nowhere/.test(first.message ?? ''),
  )
  assert.notEqual(replica!.ready, true)
  const waiting = ['workload', 'status', 'unready', '--wait', '--timeout', '2s']
  assert.equal((await cluster.ctl.run(waiting)).code, 1)
})

test('a startup probe that never passes restarts the container, and says what failed', async () => {
  const startup = { tcp: { port: 9 }, initial_delay: '0s', period: '1s', failure_threshold: 2 }
  const spec = { startup_probe: startup, termination_grace: '1s' }
  await applyWorkload(cluster, { name: 'slow', command: ['sleep', '1000'], spec })
  const [replica] = await waitForReplicas(
    cluster,
    'slow',
    { what: 'a restart, and why: while it waits for the next start', deadlineMs: 30_000 },
    ([first]) => (first?.restartCount ?? 0) > 0 && /startup probe/.test(first?.message ?? ''),
  )
  assert.notEqual(replica!.ready, true)
})

test('a liveness probe that always fails restarts the container five times, then only says so', async () => {
  const probe = {
    exec: { command: ['cat', '/tmp/alive'] },
    initial_delay: '0s',
    period: '1s',
    failure_threshold: 1,
  }
  const spec = {
    liveness_probe: probe,
    termination_grace: '1s',
    restart_policy: { policy: 'ALWAYS', backoff: '1ms' },
  }
  const script = 'trap "exit 0" TERM; sleep 1000 & wait'
  await applyWorkload(cluster, { name: 'sick', command: ['/bin/sh', '-c', script], spec })
  const [replica] = await waitForReplicas(
    cluster,
    'sick',
    { what: 'restarts, and their end', deadlineMs: 60_000 },
    ([first]) => first?.restartCount === 5 && /5 times within 5 minutes/.test(first.message ?? ''),
  )
  assert.equal(replica!.state, 'REPLICA_STATE_RUNNING')
  assert.equal(replica!.reason, 'ProbeFailed')
  assert.match(replica!.message ?? '', /\/tmp\/alive/)
})

test('after all that, a good workload still runs', async () => {
  await applyWorkload(cluster, { name: 'good', replicas: 2 })
  await waitForReady(cluster, 'good', 2)
})
