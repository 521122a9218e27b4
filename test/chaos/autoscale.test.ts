/** The number of replicas follows what real containers use, and what they tell of themselves over HTTP. */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import {
  applyWorkload,
  replicasOf,
  simpleWebImage,
  startCluster,
  waitFor,
  waitForReady,
  type Cluster,
} from '@cloudless/test/testkit'

let cluster: Cluster

before(async () => {
  cluster = await startCluster({
    prefix: 'tscale',
    subnet: '10.80.7',
    agents: ['a', 'b'].map((name) => ({ name, cpuCores: 2, memoryMb: 1024 })),
  })
})

after(() => cluster?.stop())

/** Tells a queue of the length that its file says, beside a figure with labels that nobody asked for. */
const tellsItsQueue = `
trap 'kill $!; exit 0' TERM INT
mkdir -p /tmp/www
echo 'http_requests_total{path="/a b}",code="200"} 17' >/tmp/www/metrics
echo 'queue_length{queue="mail"} 10' >>/tmp/www/metrics
httpd -f -p 8080 -h /tmp/www &
wait $!
`

/** Uses what it may of a core for as long as a file is there. */
const burnsOnDemand = `
trap 'exit 0' TERM INT
while :; do [ -e /tmp/burn ] || sleep 2; done
`

/** Looks at it every ten to fifteen seconds, and does as it is told: a test has no minutes to wait. */
const noWindows = { scale_up_stabilization: '0s', scale_down_stabilization: '0s' }

async function inEvery(name: string, command: string): Promise<void> {
  for (const { id } of await replicasOf(cluster, name)) {
    await cluster.ctl.text(['workload', 'exec', name, '--replica', id, '--', 'sh', '-c', command])
  }
}

async function describeOf(name: string): Promise<string> {
  return cluster.ctl.text(['workload', 'describe', name])
}

/** Two samples, a heartbeat and a look are half a minute at most; the machine may be busy. */
const withinMs = 90_000

// Side by side: most of the time is waited.
describe('replicas become more and fewer', { concurrency: true }, () => {
  it('with the queue they tell of', async () => {
    const autoscaling = {
      min_replicas: 1,
      max_replicas: 4,
      metrics: [{ type: 'custom', name: 'queue_length', target_value: 10 }],
      ...noWindows,
    }
    const metrics = { port: 8080, names: ['queue_length'] }
    const command = ['/bin/sh', '-c', tellsItsQueue]
    const spec = { autoscaling, metrics }
    const wish = { name: 'mail', image: simpleWebImage, command, spec }
    await applyWorkload(cluster, wish)
    await waitForReady(cluster, 'mail', 1)

    await inEvery('mail', `echo 'queue_length{queue="mail"} 30' >/tmp/www/metrics`)
    // Asks for three; the two that come tell of 10 each, so five are asked for, and four allowed.
    await waitForReady(cluster, 'mail', 4, withinMs)
    assert.match(await describeOf('mail'), /queue_length +\d+(\.\d+)? +10 +\d replicas?\n/)
    await applyWorkload(cluster, wish)
    assert.equal(
      (await replicasOf(cluster, 'mail')).length,
      4,
      'applying it again keeps the number',
    )

    await inEvery('mail', `echo 'queue_length{queue="mail"} 1' >/tmp/www/metrics`)
    await waitForReady(cluster, 'mail', 1, withinMs)
    const described = await describeOf('mail')
    assert.match(
      described,
      /workload\.autoscaled +workload "mail" goes from \d to 4 replicas: queue_length/,
    )
    assert.match(described, /Revision: +1\n/)
  })

  it('with the CPU they use', async () => {
    await applyWorkload(cluster, {
      name: 'sums',
      image: simpleWebImage,
      command: ['/bin/sh', '-c', burnsOnDemand],
      spec: {
        resources: {
          requests: { cpu_millicores: 100, memory_bytes: '32Mi' },
          limits: { cpu_millicores: 200, memory_bytes: '64Mi' },
        },
        autoscaling: {
          max_replicas: 3,
          metrics: [{ type: 'cpu', target_percent: 60 }],
          ...noWindows,
        },
      },
    })
    await waitForReady(cluster, 'sums', 1)
    await inEvery('sums', 'touch /tmp/burn')
    await waitForReady(cluster, 'sums', 3, withinMs)
    await inEvery('sums', 'rm -f /tmp/burn')
    await waitForReady(cluster, 'sums', 1, withinMs)
    await waitFor(async () => /Last scaled: +\d+s ago/.test(await describeOf('sums')), {
      what: 'when it was scaled last',
    })
  })
})
