/** What an operator sees of the real programs: ids through every log, figures, other people's clients, certificates that renew. */
import assert from 'node:assert/strict'
import { X509Certificate } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { systemClock } from '@cloudless/base'
import {
  applyWorkload,
  cleanEnvironment,
  runCommand,
  startCluster,
  waitFor,
  waitForReady,
  type AgentOnHost,
  type Cluster,
} from '@cloudless/test/testkit'

const metricsPort = 9092
const service = 'cloudless.api.v1.CoordinatorService'

let cluster: Cluster
let agent: AgentOnHost

before(async () => {
  cluster = await startCluster({
    prefix: 'tobserve',
    subnet: '10.80.40',
    agents: [{ name: 'a' }],
    coordinatorConfig: { log_level: 'debug', tls: { node_certificate_ttl: '4s' } },
    agentConfig: { log_level: 'debug', metrics_addr: `0.0.0.0:${metricsPort}` },
  })
  agent = cluster.agent('a')
})

after(() => cluster?.stop())

interface EventView {
  readonly type: string
  readonly correlationId?: string
}

interface LogLine {
  readonly message: string
  readonly method?: string
  readonly correlationId?: string
}

const events = (...filters: string[]) => cluster.ctl.items<EventView>(['events', ...filters])

function logLines(path: string): LogLine[] {
  const lines = readFileSync(path, 'utf8').split('\n')
  return lines.filter((line) => line.startsWith('{')).map((line) => JSON.parse(line) as LogLine)
}

test('one id of a command is in the logs of the coordinator and of the agent', async () => {
  await applyWorkload(cluster, { name: 'web' })
  await waitForReady(cluster, 'web', 1)
  const { stderr } = await cluster.ctl.run([
    ...['workload', 'exec', 'web', '--verbose', '--', 'no-such-command'],
  ])
  const id = /correlation id: (cli-\w+)/.exec(stderr)?.[1]
  assert.ok(id, stderr)
  for (const log of [cluster.coordinator.log, agent.log]) {
    const calls = (): LogLine[] => logLines(log).filter((line) => line.correlationId === id)
    await waitFor(() => calls().some(({ method }) => /AgentService\/Exec/.test(method ?? '')), {
      what: `${id} in ${log}`,
      describe: () => readFileSync(log, 'utf8').slice(-2000),
    })
  }
})

test('the id of a command is in the events it led to', async () => {
  const [created] = await events('--type', 'workload.created')
  const id = created?.correlationId ?? ''
  assert.match(id, /^cli-\w+$/)
  const calls = logLines(cluster.coordinator.log).filter((line) => line.correlationId === id)
  assert.ok(calls.some(({ method }) => method === `${service}/ApplyWorkload`))
})

/** Figures of the agent, by their name without labels, added up. */
async function agentFigures(): Promise<Map<string, number>> {
  const url = `http://${agent.host.address}:${metricsPort}/metrics`
  const { stdout } = await cluster.network.run(['curl', '-s', '--max-time', '5', url])
  const figures = new Map<string, number>()
  for (const [, name, value] of stdout.matchAll(/^cloudless_(\w+)(?:\{.*\})? (\S+)$/gm)) {
    figures.set(name!, (figures.get(name!) ?? 0) + Number(value))
  }
  return figures
}

test('every figure of the agent moves when what it counts happens', async () => {
  await waitForReady(cluster, 'web', 1)
  await cluster.ctl.text(['workload', 'exec', 'web', '--', 'true'])
  const failing = { exec: { command: ['false'] }, initial_delay: '0s', period: '1s' }
  await applyWorkload(cluster, {
    name: 'unwell',
    spec: { liveness_probe: { ...failing, failure_threshold: 1 } },
  })
  const moved = [
    ...['container_operations_total', 'container_operation_duration_seconds_count'],
    ...['running_containers_total', 'agent_readiness_probes_total', 'agent_liveness_probes_total'],
    ...['agent_probe_duration_seconds_count', 'agent_container_health_status'],
    ...['agent_probe_consecutive_failures', 'agent_container_restarts_total'],
    ...['system_info', 'uptime_seconds'],
    ...['grpc_requests_total', 'grpc_request_duration_seconds_count'],
    ...['grpc_stream_messages_received_total', 'grpc_stream_messages_sent_total'],
  ]
  // Streams of the agent are those of the coordinator's calls: logs and interactive commands.
  await cluster.ctl.text(['workload', 'exec', '-i', 'web', '--', 'true'], { input: '' })
  await cluster.ctl.text(['workload', 'logs', 'web', '--tail', '1'])
  let still: readonly string[] = moved
  await waitFor(
    async () => {
      const figures = await agentFigures()
      still = moved.filter((name) => !((figures.get(name) ?? 0) > 0))
      return still.length === 0
    },
    { what: 'all figures to move', deadlineMs: 45_000, describe: () => `still: ${still.join()}` },
  )
  await cluster.ctl.text(['workload', 'delete', 'unwell', '--graceful=false'])
})

/** With buf's own client; `--protocol` and a method, or `--list-methods`. */
function bufCurl(args: readonly string[], path: string) {
  const operator = join(cluster.directory, 'operator')
  return runCommand(
    [
      ...['buf', 'curl', '--cacert', join(operator, 'ca.pem')],
      ...['--cert', join(operator, 'cert.pem'), '--key', join(operator, 'key.pem')],
      ...args,
      `https://${cluster.address}${path}`,
    ],
    { env: cleanEnvironment(), deadlineMs: 30_000 },
  )
}

test("others' clients find the API by reflection and speak gRPC, gRPC-web and Connect with it", async () => {
  const listed = await bufCurl(['--list-methods'], '')
  assert.match(listed.stdout, /CoordinatorService\/ListNodes/, listed.stderr)
  assert.match(listed.stdout, /grpc\.health\.v1\.Health\/Check/)
  for (const protocol of ['grpc', 'grpcweb', 'connect']) {
    const nodes = await bufCurl(['--protocol', protocol, '-d', '{}'], `/${service}/ListNodes`)
    assert.equal(nodes.code, 0, `${protocol}: ${nodes.stderr}`)
    assert.match(nodes.stdout, /"name": *"a"/)
    const none = await bufCurl(
      ['--protocol', protocol, '-d', '{"nodeId":"none"}'],
      `/${service}/GetNode`,
    )
    assert.match(none.stderr, /not_found/, protocol)
    const health = await bufCurl(
      ['--protocol', protocol, '-d', '{}'],
      '/grpc.health.v1.Health/Check',
    )
    assert.match(health.stdout, /SERVING/, `${protocol}: ${health.stderr}`)
  }
})

test('health and readiness answer on the API port and in plain, metrics only to operators', async () => {
  const operator = join(cluster.directory, 'operator')
  const curl = async (...args: string[]): Promise<string> =>
    (await runCommand(['curl', '-s', '-o', '/dev/null', '-w', '%{http_code}', ...args])).stdout
  const plain = cluster.address.replace(/\d+$/, '8081')
  for (const path of ['/healthz', '/readyz', '/health', '/ready']) {
    assert.equal(await curl('--insecure', `https://${cluster.address}${path}`), '200', path)
    assert.equal(await curl(`http://${plain}${path}`), '200', path)
  }
  assert.equal(await curl(`http://${plain}/metrics`), '404')
  assert.equal(await curl('--insecure', `https://${cluster.address}/metrics`), '401')
  const identity = join(agent.dataDirectory, 'identity', 'current')
  const asNode = ['--cert', join(identity, 'cert.pem'), '--key', join(identity, 'key.pem')]
  assert.equal(await curl('--insecure', ...asNode, `https://${cluster.address}/metrics`), '403')
  const asOperator = ['--cert', join(operator, 'cert.pem'), '--key', join(operator, 'key.pem')]
  const trusted = ['--cacert', join(operator, 'ca.pem')]
  assert.equal(await curl(...trusted, ...asOperator, `https://${cluster.address}/metrics`), '200')
})

function certificate(): X509Certificate {
  return new X509Certificate(
    readFileSync(join(agent.dataDirectory, 'identity', 'current', 'cert.pem')),
  )
}

test('a session outlives several certificates of its node', async () => {
  const count = async (type: string): Promise<number> => (await events('--type', type)).length
  const [renewed, offline] = [await count('node.renewed'), await count('node.offline')]
  const first = certificate().serialNumber
  await waitFor(async () => (await count('node.renewed')) >= renewed + 3, {
    what: 'three renewals',
    deadlineMs: 30_000,
  })
  assert.notEqual(certificate().serialNumber, first)
  assert.equal(await count('node.offline'), offline)
  assert.equal(await count('node.enrolled'), 1)
  await cluster.waitForPhase('a', 'READY')
})

test('a node that was away for longer than its certificate lived comes back by itself', async () => {
  const before = (await cluster.nodes())[0]!
  await agent.kill()
  await cluster.waitForPhase('a', 'OFFLINE')
  await waitFor(() => certificate().validToDate.getTime() < systemClock.wallMs(), {
    what: 'the certificate to run out',
  })
  await agent.start()
  const back = await cluster.waitForPhase('a', 'READY')
  assert.equal(back.id, before.id)
  await waitForReady(cluster, 'web', 1)
  await waitFor(() => certificate().validToDate.getTime() > systemClock.wallMs(), {
    what: 'a certificate that holds',
  })
})
