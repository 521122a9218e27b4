/** What a node gives and no more: disk of a replica, room for containers run by hand, its own doors. */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import {
  applyWorkload,
  simpleWebImage,
  startCluster,
  waitFor,
  waitForReplicas,
  type Cluster,
} from '@cloudless/test/testkit'

const agentPort = 8090
const plainPort = 9092

let cluster: Cluster

before(async () => {
  cluster = await startCluster({
    prefix: 'tlimit',
    subnet: '10.80.21',
    agents: [{ name: 'a', cpuCores: 0.5, memoryMb: 1024 }],
    agentConfig: {
      agent_addr: `0.0.0.0:${agentPort}`,
      health_addr: `0.0.0.0:${plainPort}`,
      metrics_addr: `0.0.0.0:${plainPort}`,
    },
  })
})

after(() => cluster?.stop())

interface NodeAmounts {
  readonly name: string
  readonly capacity: { readonly cpuMillicores: number }
  readonly allocatable: { readonly cpuMillicores: number }
  readonly usage?: { readonly cpuMillicores?: number }
}

const nodeA = (): Promise<NodeAmounts> => cluster.ctl.json<NodeAmounts>(['node', 'get', 'a'])

async function waitForAllocatable(cpuMillicores: number): Promise<void> {
  await waitFor(async () => (await nodeA()).allocatable.cpuMillicores === cpuMillicores, {
    what: `${cpuMillicores}m allocatable`,
    describe: async () => JSON.stringify(await nodeA()),
  })
}

test('a replica that writes more than its limit is ended, and its status says so', async () => {
  const script = 'dd if=/dev/zero of=/tmp/much bs=1M count=24; sleep 1000'
  await applyWorkload(cluster, {
    name: 'hoarder',
    command: ['/bin/sh', '-c', script],
    spec: { resources: { limits: { storage_bytes: '8Mi' } }, termination_grace: '1s' },
  })
  const replicas = await waitForReplicas(
    cluster,
    'hoarder',
    { what: 'the limit to bite', deadlineMs: 60_000 },
    (all) => all.some(({ reason }) => reason === 'EphemeralStorageExceeded'),
  )
  const ended = replicas.find(({ reason }) => reason === 'EphemeralStorageExceeded')!
  assert.match(ended.message ?? '', /more than its limit of 8/)
  assert.notEqual(ended.ready, true)
  await cluster.ctl.text(['workload', 'delete', 'hoarder', '--wait'])
})

test('containers run by hand are taken off what replicas may use, and given only what is left', async () => {
  await waitForAllocatable(450)
  const run = (name: string, cpu: string) =>
    cluster.ctl.run([
      ...['container', 'run', name, '--node', 'a', '--image', simpleWebImage, '--cpu', cpu],
      ...['--', 'sleep', '1000'],
    ])
  const big = await run('big', '500m')
  assert.equal(big.code === 0, false)
  assert.match(big.stderr, /does not fit.*500m of CPU \(450m left\)/s)
  const fits = await run('fits', '300m')
  assert.equal(fits.code, 0, fits.stderr)
  await waitForAllocatable(150)

  await applyWorkload(cluster, {
    name: 'squeezed',
    command: ['sleep', '1000'],
    spec: { resources: { requests: { cpu_millicores: 200 } }, termination_grace: '1s' },
  })
  await waitForReplicas(cluster, 'squeezed', { what: 'to be told there is no room' }, ([first]) =>
    (first?.pendingReasons ?? []).some(({ reason }) => /cpu/i.test(reason)),
  )
  const stopped = await cluster.ctl.run([
    ...['container', 'stop', 'run-fits', '--node', 'a', '--remove', '--grace', '0s'],
  ])
  assert.equal(stopped.code, 0, stopped.stderr)
  await waitForAllocatable(450)
  await waitForReplicas(
    cluster,
    'squeezed',
    { what: 'its place' },
    ([first]) => first?.state === 'REPLICA_STATE_RUNNING',
  )
  await cluster.ctl.text(['workload', 'delete', 'squeezed', '--wait'])
})

test('a node told to be small counts what its own containers use, not the whole machine', async () => {
  await applyWorkload(cluster, {
    name: 'busy',
    command: ['/bin/sh', '-c', 'while true; do :; done'],
    spec: {
      resources: { requests: { cpu_millicores: 100 }, limits: { cpu_millicores: 200 } },
      termination_grace: '1s',
    },
  })
  const used = await waitFor(
    async () => {
      const { usage } = await nodeA()
      return (usage?.cpuMillicores ?? 0) >= 100 && usage
    },
    { what: 'the use of a busy container', deadlineMs: 30_000 },
  )
  assert.equal((await nodeA()).capacity.cpuMillicores, 500)
  // The container's 200m and what the agent itself takes.
  assert.ok(used.cpuMillicores! < 450, `${used.cpuMillicores}m`)
  await cluster.ctl.text(['workload', 'delete', 'busy', '--wait'])
})

test('a second agent with the same data directory ends at once and says why', async () => {
  const { host, program, dataDirectory } = cluster.agent('a')
  const second = await host.run([program, '--data-dir', dataDirectory])
  assert.equal(second.code, 1)
  assert.match(second.stderr, /another agent is running with it/)
})

test("the agent's own doors: health to all, figures and calls to operators", async () => {
  const { host } = cluster.agent('a')
  const credentials = join(cluster.directory, 'operator')
  const certificate = [
    ...['--cert', join(credentials, 'cert.pem'), '--key', join(credentials, 'key.pem')],
  ]
  const curl = async (url: string, ...more: string[]): Promise<[string, string]> => {
    const args = ['-sk', '--max-time', '5', '-w', '\n%{http_code}', ...more, url]
    const { stdout } = await cluster.network.run(['curl', ...args])
    const lines = stdout.trimEnd().split('\n')
    return [lines.pop()!, lines.join('\n')]
  }
  const tls = `https://${host.address}:${agentPort}`
  assert.equal((await curl(`${tls}/readyz`))[0], '200')
  assert.equal((await curl(`${tls}/metrics`))[0], '401')
  const [status, figures] = await curl(`${tls}/metrics`, ...certificate)
  assert.equal(status, '200')
  assert.match(
    figures,
    /^cloudless_container_operations_total\{operation="start",result="success"\}/m,
  )
  const call = `${tls}/cloudless.api.v1.AgentService/ReportResources`
  const body = ['--json', '{}']
  assert.equal((await curl(call, ...body))[0], '401')
  const [called, answer] = await curl(call, ...body, ...certificate)
  assert.equal(called, '200', answer)
  assert.equal(JSON.parse(answer).capacity.cpuMillicores, 500)
  const plain = `http://${host.address}:${plainPort}`
  assert.equal((await curl(`${plain}/healthz`))[0], '200')
  assert.match((await curl(`${plain}/metrics`))[1], /^cloudless_uptime_seconds/m)
})
