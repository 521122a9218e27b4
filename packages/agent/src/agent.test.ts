import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { create } from '@bufbuild/protobuf'
import {
  fromConnectError,
  NodeCapabilitiesSchema,
  PowerSource,
  ReplicaState,
  ResourceCapacitySchema,
  RestartPolicyKind,
  WorkloadType,
  type NodeCapabilities,
} from '@cloudless/api'
import { CloudlessError, systemClock, systemRandom } from '@cloudless/base'
import { loadCredentials } from '@cloudless/identity'
import type { AgentOptions } from './agent-options.ts'
import { Agent } from './agent.ts'
import { makeEnrolmentMaterial } from './membership/make-enrolment-material.ts'
import type { MembershipEnd } from './membership/membership.ts'
import { ProbeHealthBoard } from './service/probe-health-board.ts'
import { FakeCoordinator, type FakeSession } from './testing/fake-coordinator.ts'
import { FakeRuntime, oneShot } from './testing/fake-runtime.ts'
import { QuietLogger, quietMetrics } from './testing/quiet.ts'
import { waitFor } from './testing/wait-for.ts'

let directory: string
let coordinator: FakeCoordinator
let runtime: FakeRuntime
let logger: QuietLogger
let capabilities: { current: NodeCapabilities }
let running: { agent: Agent; ended: Promise<MembershipEnd> }[]

/** A coordinator and a directory of its own for each test. */
function withCoordinator(): void {
  beforeEach(async () => {
    directory = mkdtempSync(join(tmpdir(), 'cloudless-agent-'))
    coordinator = await FakeCoordinator.open(join(directory, 'ca'))
    runtime = new FakeRuntime()
    logger = new QuietLogger()
    capabilities = { current: create(NodeCapabilitiesSchema, {}) }
    running = []
  })
  afterEach(async () => {
    for (const { agent, ended } of running) {
      await agent.stop('test over')
      await ended.catch(() => undefined) // The test has looked at it.
    }
    await coordinator.close()
    rmSync(directory, { recursive: true, force: true })
  })
}

function startAgent(options: Partial<AgentOptions> = {}) {
  const deps = {
    clock: systemClock,
    random: systemRandom,
    logger,
    runtime,
    metrics: quietMetrics,
    probeHealth: new ProbeHealthBoard(systemClock),
    capabilities,
  }
  const none = { cpuCores: 0, memoryMb: 0, storageGb: 0, bandwidthMbps: 0 }
  const agent = new Agent(deps, {
    dataDirectory: join(directory, 'agent'),
    nodeName: 'n1',
    region: '',
    zone: '',
    labels: {},
    taints: [],
    joinToken: '',
    coordinators: [],
    trustDomain: 'cloudless',
    capacity: create(ResourceCapacitySchema, { cpuMillicores: 2_000 }),
    overrides: none,
    reserve: { cpuPercent: 10, memoryPercent: 10, storagePercent: 10 },
    bootId: 'boot-1',
    bridgeName: 'cloudless0',
    probesEnabled: true,
    sessionWaitMs: 50,
    ...options,
  })
  const ended = agent.run()
  ended.catch(() => undefined) // Tests that expect it await it.
  running.push({ agent, ended })
  return { agent, ended }
}

const sessionNumber = (n: number): Promise<FakeSession> =>
  waitFor(`session ${n}`, () => {
    const session = coordinator.sessions[n]
    return session !== undefined && session.of('heartbeat').length > 0 ? session : undefined
  })

/** With the key made in this process, which is the quicker way for a test. */
async function startMember(options: Partial<AgentOptions> = {}) {
  const joinToken = await coordinator.token()
  const identityDirectory = join(directory, 'agent', 'identity')
  const enrolmentMaterial = makeEnrolmentMaterial({ token: joinToken, identityDirectory })
  const started = startAgent({ joinToken, enrolmentMaterial, ...options })
  return { ...started, session: await sessionNumber(coordinator.sessions.length) }
}

async function stopAgent(agent: Agent, ended: Promise<MembershipEnd>): Promise<void> {
  await agent.stop('restart')
  await ended
  running = running.filter((one) => one.agent !== agent)
}

const upsert = (replicaId: string, spec = {}) => ({
  case: 'assignments' as const,
  value: {
    upsert: [{ replicaId, workloadName: 'web', spec: { image: 'nginx:1', ...spec } }],
    version: 2n,
  },
})

describe('enrolment', () => {
  withCoordinator()

  it('makes it a member that has a session', async () => {
    const { agent, session } = await startMember()
    assert.equal(coordinator.enrolments[0]?.nodeName, 'n1')
    assert.equal(coordinator.enrolments[0]?.allocatable?.cpuMillicores, 1_800)
    assert.equal(session.of('hello')[0]?.nodeId, agent.nodeId)
    assert.equal(loadCredentials(join(directory, 'agent', 'identity'))?.id, agent.nodeId)
  })

  it('is not repeated by the next start, which needs no token', async () => {
    const { agent, ended } = await startMember()
    await stopAgent(agent, ended)
    const again = startAgent()
    await sessionNumber(1)
    assert.equal(again.agent.nodeId, agent.nodeId)
    assert.equal(coordinator.enrolments.length, 1)
  })

  it('repeats the same request when the answer was lost', async () => {
    coordinator.loseAnswers = 1
    await startMember()
    const [first, second] = coordinator.enrolments
    assert.equal(first?.csrPem, second?.csrPem)
    assert.equal(first?.idempotencyKey, second?.idempotencyKey)
  })

  it('waits for a coordinator that is away', async () => {
    const joinToken = await coordinator.token()
    await coordinator.close()
    startAgent({ joinToken })
    await waitFor('warning', () => logger.said.some((line) => line.includes('cannot enrol')))
    await coordinator.listen()
    await sessionNumber(0)
  })

  for (const code of ['unauthenticated', 'already_exists', 'permission_denied'] as const) {
    it(`ends with the reason when it is refused as ${code}`, async () => {
      coordinator.refuse = new CloudlessError(code, 'the token was used up')
      const { ended } = startAgent({ joinToken: await coordinator.token() })
      await assert.rejects(ended, { code, message: /refused to enrol.*the token was used up/ })
    })
  }

  it('refuses a coordinator with another CA before it shows the token', async () => {
    const other = await FakeCoordinator.open(join(directory, 'other-ca'))
    const joinToken = await other.token()
    await other.close()
    const { ended } = startAgent({ joinToken, coordinators: [coordinator.address] })
    await assert.rejects(ended, { code: 'unauthenticated' })
    assert.equal(coordinator.enrolments.length, 0)
  })

  it('without a token says what to do', async () => {
    const { ended } = startAgent()
    await assert.rejects(ended, { code: 'failed_precondition', message: /--join-token/ })
  })
})

describe('a session', () => {
  withCoordinator()

  it('brings assignments down and their states up', async () => {
    const { session } = await startMember()
    session.send(upsert('web-1'))
    await waitFor('applied', () => session.of('applied').some(({ version }) => version === 2n))
    const ready = await waitFor('ready', () =>
      session
        .of('replicas')
        .flatMap((report) => report.replicas)
        .find((replica) => replica.ready),
    )
    assert.equal(ready.state, ReplicaState.RUNNING)
    const sequences = session.of('replicas').flatMap((r) => r.replicas.map((o) => o.sequence))
    assert.deepEqual(
      sequences,
      sequences.toSorted((a, b) => Number(a - b)),
    )
  })

  it('goes on heartbeating while an image is pulled', async () => {
    runtime.gates.set('pull nginx:1', new Promise(() => {}))
    const { session } = await startMember()
    session.send(upsert('web-1'))
    const before = session.of('heartbeat').length
    await waitFor('more heartbeats', () => session.of('heartbeat').length >= before + 5)
  })

  it('is opened again when the coordinator comes back, and containers go on', async () => {
    const { session } = await startMember()
    session.send(upsert('web-1'))
    await waitFor('running', () => runtime.containers.has('web-1'))
    await coordinator.close()
    coordinator.onSession = (next) => {
      const { upsert: listed } = upsert('web-1').value
      next.send({ case: 'assignments', value: { full: true, upsert: listed, version: 1n } })
    }
    await coordinator.listen()
    const next = await sessionNumber(1)
    assert.deepEqual(
      next.of('hello')[0]?.replicas.map(({ replicaId, state }) => [replicaId, state]),
      [['web-1', ReplicaState.RUNNING]],
    )
    assert.equal(runtime.requests.length, 1)
  })

  it('tells what changed between its hello and the welcome', async () => {
    const { session } = await startMember()
    session.send(upsert('web-1'))
    await waitFor('running', () => runtime.containers.get('web-1')?.state === 'running')
    await coordinator.close()
    const welcome = Promise.withResolvers<void>()
    coordinator.beforeWelcome = welcome.promise
    coordinator.onSession = () => {}
    await coordinator.listen()
    const next = await waitFor('hello', () =>
      coordinator.sessions.slice(1).find((opened) => opened.of('hello').length > 0),
    )
    assert.equal(next.of('hello')[0]!.replicas[0]!.state, ReplicaState.RUNNING)
    runtime.end('web-1', 0)
    await waitFor(
      'its end',
      () => running[0]!.agent.supervisor.find('web-1')?.state.stage !== 'running',
    )
    welcome.resolve()
    await waitFor('told', () =>
      next
        .of('replicas')
        .flatMap(({ replicas }) => replicas)
        .some(({ reason }) => reason === 'Completed'),
    )
  })

  it('is opened with the leader, wherever it was asked for', async () => {
    const follower = await FakeCoordinator.open(join(directory, 'ca'))
    const details = { reason: 'not_leader', leader: coordinator.address }
    follower.refuse = new CloudlessError('unavailable', 'another leads', { details })
    const { agent, ended } = await startMember()
    await stopAgent(agent, ended)
    startAgent({ coordinators: [follower.address] })
    await sessionNumber(1)
    await follower.close()
  })

  it('learns of other coordinators while it lasts, and knows them at the next start', async () => {
    const { agent, ended, session } = await startMember()
    const other = await FakeCoordinator.open(join(directory, 'ca'))
    session.send({ case: 'welcome', value: { coordinators: [coordinator.address, other.address] } })
    await waitFor('known', () => agent.coordinators.includes(other.address))
    await stopAgent(agent, ended)
    await coordinator.close()
    startAgent()
    await waitFor('a session with the other', () => other.sessions.length > 0)
    await other.close()
    await coordinator.listen()
  })

  it('is opened again when the coordinator falls silent', async () => {
    const { session } = await startMember()
    coordinator.silent = true
    await waitFor('new session', () => coordinator.sessions.length > 1, 8_000)
    assert.ok(session.ended)
  })

  it('ends with a goodbye, and the containers stay', async () => {
    const { agent, ended, session } = await startMember()
    session.send(upsert('web-1'))
    await waitFor('running', () => agent.supervisor.find('web-1')?.state.stage === 'running')
    await stopAgent(agent, ended)
    await waitFor('goodbye', () => session.of('goodbye').length === 1)
    assert.equal(runtime.containers.get('web-1')?.state, 'running')
  })

  it('of a removed node stops everything and puts the credentials aside', async () => {
    const { session, ended } = await startMember()
    session.send(upsert('web-1'))
    await waitFor('running', () => runtime.containers.has('web-1'))
    session.send({ case: 'evicted', value: { reason: 'removed', message: 'by an operator' } })
    const end = await ended
    assert.equal(end.kind === 'evicted' && end.reason, 'removed')
    assert.equal(runtime.containers.size, 0)
    assert.equal(loadCredentials(join(directory, 'agent', 'identity')), undefined)
  })

  for (const elsewhere of [true, false]) {
    const what = elsewhere ? 'stops what would run twice' : 'leaves the containers to its successor'
    it(`superseded on ${elsewhere ? 'another' : 'its own'} machine ${what}`, async () => {
      const { session, ended } = await startMember()
      session.send(upsert('web-1'))
      await waitFor('running', () => runtime.containers.has('web-1'))
      session.send({ case: 'evicted', value: { reason: 'superseded', message: 'twin', elsewhere } })
      const end = await ended
      assert.equal(end.kind === 'evicted' && end.reason, 'superseded')
      assert.equal(runtime.containers.size, elsewhere ? 0 : 1)
      assert.ok(loadCredentials(join(directory, 'agent', 'identity')), 'its identity is kept')
    })
  }

  it('without a coordinator starts what is recorded after a reboot', async () => {
    const { agent, ended, session } = await startMember()
    session.send(upsert('web-1'))
    await waitFor('running', () => agent.supervisor.find('web-1')?.state.stage === 'running')
    await stopAgent(agent, ended)
    await coordinator.close()
    runtime.containers.clear()
    startAgent({ bootId: 'boot-2' })
    await waitFor('started', () => runtime.requests.length === 2)
    await coordinator.listen()
  })
})

describe('what the node says of itself', () => {
  withCoordinator()

  it('has its capabilities again only when they have changed', async () => {
    const { session } = await startMember()
    assert.ok(session.of('hello')[0]?.capabilities)
    await waitFor('heartbeats', () => session.of('heartbeat').length >= 3)
    assert.ok(session.of('heartbeat').every((beat) => beat.capabilities === undefined))
    const powerSource = PowerSource.BATTERY
    capabilities.current = create(NodeCapabilitiesSchema, { powerSource })
    const count = session.of('heartbeat').length
    await waitFor('more heartbeats', () => session.of('heartbeat').length >= count + 3)
    const told = session.of('heartbeat').flatMap((beat) => beat.capabilities ?? [])
    assert.deepEqual(
      told.map((one) => one.powerSource),
      [powerSource],
    )
  })

  it('has its images once they are known, and again only when they have changed', async () => {
    const image = { digest: 'sha256:1', bytes: 1, platforms: ['linux/amd64'], createdAtMs: 1 }
    runtime.present = [{ name: 'x.io/a:1', ...image }]
    const { agent, ended, session } = await startMember()
    const told = (): string[][] =>
      [...session.of('hello'), ...session.of('heartbeat')].flatMap(({ images }) =>
        images === undefined ? [] : [images.images.map(({ name }) => name)],
      )
    await waitFor('the first', () => told().length > 0)
    runtime.present = [{ name: 'x.io/b:1', ...image }]
    runtime.tell({ kind: 'images' })
    await waitFor('the change', () => told().length > 1)
    const count = session.of('heartbeat').length
    await waitFor('more heartbeats', () => session.of('heartbeat').length >= count + 3)
    assert.deepEqual(told(), [['x.io/a:1'], ['x.io/b:1']])
    const sessions = coordinator.sessions.length
    await stopAgent(agent, ended)
    startAgent()
    const next = await sessionNumber(sessions)
    await waitFor('them in the next session', () =>
      [...next.of('hello'), ...next.of('heartbeat')].some(({ images }) => images !== undefined),
    )
  })

  it('names a clock that is an hour off, and stays a member', async () => {
    coordinator.clockAheadMs = 3_600_000
    const { session } = await startMember()
    const condition = await waitFor('the condition', () =>
      session
        .of('heartbeat')
        .flatMap((beat) => beat.conditions)
        .find(({ type }) => type === 'ClockSkew'),
    )
    assert.match(condition.message, /behind the coordinator's/)
    assert.equal(session.ended, false)
  })
})

describe('certificates', () => {
  withCoordinator()

  it('are renewed in time without a new session', async () => {
    coordinator.certificateLifetimeMs = 2_000
    const { session } = await startMember()
    await waitFor('two renewals', () => coordinator.renewals.length >= 2, 8_000)
    assert.equal(coordinator.sessions.length, 1)
    assert.equal(session.ended, false)
    assert.equal(new Set(coordinator.renewals).size, 1)
  })

  it('that ran out while the agent was away are renewed first', async () => {
    coordinator.certificateLifetimeMs = 1_000
    const { agent, ended } = await startMember()
    const until = agent.credentials!.notAfterMs
    await stopAgent(agent, ended)
    await waitFor('expiry', () => systemClock.wallMs() > until + 1_000)
    coordinator.certificateLifetimeMs = 3_600_000
    const before = coordinator.renewals.length
    startAgent()
    await sessionNumber(1)
    assert.equal(coordinator.renewals.length, before + 1)
  })
})

describe('the reversed connection', () => {
  withCoordinator()

  async function call(options: Partial<AgentOptions> = {}) {
    const member = await startMember(options)
    member.session.send({ case: 'dialBack', value: { connectionId: 'c-1' } })
    await waitFor('reversed connection', () => coordinator.reversed.length === 1)
    return { ...member, ...coordinator.agent() }
  }

  it('serves unary calls, streams and conversations', async () => {
    const { client, session } = await call()
    session.send(upsert('web-1'))
    const status = await waitFor('running', async () => {
      const answer = await client.getContainerStatus({ containerId: 'web-1' })
      return answer.state === 'running' && answer
    })
    assert.equal(status.image, 'nginx:1')

    runtime.lines.push({ timestampUs: 1, stream: 'stdout', line: 'hello', partial: false })
    const lines = await Array.fromAsync(client.streamLogs({ containerId: 'web-1' }))
    assert.deepEqual(
      lines.map(({ line }) => line),
      ['hello'],
    )

    runtime.exec_ = () => oneShot('out', 3)
    const done = await client.execCommand({ containerId: 'web-1', command: ['x'] })
    assert.equal(Buffer.from(done.stdout).toString(), 'out')
    assert.equal(done.exitCode, 3)

    const inputs = async function* () {
      const start = { containerId: 'web-1', command: ['sh'], tty: true }
      yield { input: { case: 'start' as const, value: start } }
    }
    const outputs = await Array.fromAsync(client.exec(inputs()))
    assert.deepEqual(
      outputs.map(({ output }) => output.case),
      ['started', 'stdout', 'exitCode'],
    )
    const pulls = await Array.fromAsync(client.pullImage({ image: 'nginx:1' }))
    assert.equal(pulls.at(-1)?.done, true)
    assert.equal((await client.listImages({})).total, 1)
    assert.equal((await client.reportResources({})).allocatable?.cpuMillicores, 1_800)
    const [fragment] = (await client.getFragments({})).fragments
    assert.deepEqual([fragment?.id, fragment?.workloadName], ['frag-web-1', 'web'])
  })

  it('a followed log ends when the container is gone', async () => {
    const { client, session } = await call()
    session.send(upsert('web-1'))
    await waitFor('running', () => runtime.containers.has('web-1'))
    runtime.lines.push({ timestampUs: 1, stream: 'stdout', line: 'hello', partial: false })
    const read = Array.fromAsync(client.streamLogs({ containerId: 'web-1', follow: true }))
    session.send({
      case: 'assignments',
      value: { stop: [{ replicaId: 'web-1' }], version: 3n },
    })
    assert.deepEqual(
      (await read).map(({ line }) => line),
      ['hello'],
    )
  })

  it('runs and stops containers by hand', async () => {
    const { client } = await call()
    const request = { name: 'tool', spec: { image: 'busybox' }, idempotencyKey: 'k' }
    const { containerId } = await client.runContainer(request)
    assert.equal((await client.runContainer(request)).containerId, containerId)
    await waitFor('running', () => runtime.containers.get(containerId)?.state === 'running')
    assert.equal((await client.stopContainer({ containerId })).exitCode, 143)
    await client.stopContainer({ containerId, remove: true })
    assert.equal((await client.listContainers({})).total, 0)
  })

  it('gives containers run by hand only what is left, and tells at once what they hold', async () => {
    coordinator.heartbeatIntervalMs = 60_000 // What is told is told out of turn.
    const { client, session } = await call()
    session.send(upsert('web-1', { resources: { requests: { cpuMillicores: 800 } } }))
    await waitFor('running', () => runtime.containers.has('web-1'))
    const asking = (name: string, cpuMillicores: number) => {
      const spec = { image: 'busybox', resources: { requests: { cpuMillicores } } }
      return client.runContainer({ name, spec })
    }
    const reasonOf = (attempt: Promise<unknown>) =>
      attempt.then(
        () => assert.fail('it was let in'),
        (thrown: unknown) => fromConnectError(thrown),
      )
    const refusal = await reasonOf(asking('big', 1_001))
    assert.equal(refusal.code, 'resource_exhausted')
    assert.match(refusal.message, /big does not fit.*1001m of CPU \(1000m left\)/)
    const both = await Promise.allSettled([asking('one', 600), asking('two', 600)])
    assert.deepEqual(both.map(({ status }) => status).toSorted(), ['fulfilled', 'rejected'])
    const told = () => session.of('heartbeat').at(-1)?.allocatable?.cpuMillicores
    await waitFor('less to give', () => told() === 1_200)
    const { containers } = await client.listContainers({})
    const { containerId } = containers.find((one) => one.containerId.startsWith('run-'))!
    const { fragments } = await client.getFragments({})
    assert.deepEqual(
      fragments.map(({ replicaId }) => replicaId),
      [containerId, 'web-1'],
    )
    await client.stopContainer({ containerId, remove: true })
    await waitFor('all of it again', () => told() === 1_800)
  })

  it('refuses to restart an attempt of a job that has ended', async () => {
    const { client, session, agent } = await call()
    const restartPolicy = { policy: RestartPolicyKind.NEVER }
    session.send(upsert('sum-1', { type: WorkloadType.JOB, restartPolicy }))
    await waitFor('running', () => agent.supervisor.find('sum-1')?.state.stage === 'running')
    runtime.end('sum-1', 0)
    await waitFor('ended', () => agent.supervisor.find('sum-1')?.state.stage === 'succeeded')
    await assert.rejects(client.stopContainer({ containerId: 'sum-1' }), (reason) => {
      assert.equal(fromConnectError(reason).code, 'failed_precondition')
      assert.match(fromConnectError(reason).message, /sum-1 is an attempt of job .* has ended/)
      return true
    })
  })

  it('restarts a replica by hand, and refuses to remove it', async () => {
    const { client, session, agent } = await call()
    session.send(upsert('web-1'))
    await waitFor('running', () => agent.supervisor.find('web-1')?.state.stage === 'running')
    assert.equal((await client.stopContainer({ containerId: 'web-1' })).exitCode, 143)
    await waitFor('restarted', () => runtime.requests.length === 2)
    await assert.rejects(client.stopContainer({ containerId: 'web-1', remove: true }), (reason) => {
      assert.equal(fromConnectError(reason).code, 'failed_precondition')
      return true
    })
  })

  it('refuses with codes: unknown container, bad spec, no command', async () => {
    const { client } = await call()
    const codeOf = async (attempt: Promise<unknown>): Promise<string> => {
      const reason = await attempt.then(
        () => undefined,
        (thrown: unknown) => thrown,
      )
      return fromConnectError(reason).code
    }
    assert.equal(await codeOf(client.getContainerStatus({ containerId: 'nope' })), 'not_found')
    assert.equal(await codeOf(client.runContainer({ name: 'x', spec: {} })), 'invalid_argument')
    assert.equal(await codeOf(client.runContainer({ name: 'No!' })), 'invalid_argument')
    const logs = Array.fromAsync(client.streamLogs({ containerId: 'nope' }))
    assert.equal(await codeOf(logs), 'not_found')
  })

  it('is dropped when nobody calls, and not before', async () => {
    const { client, socket } = await call({ reversedIdleMs: 150 })
    let closed = false
    socket.once('close', () => (closed = true))
    await client.reportResources({})
    assert.equal(closed, false)
    await waitFor('dropped', () => closed)
  })
})
