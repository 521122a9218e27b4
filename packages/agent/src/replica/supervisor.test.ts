import assert from 'node:assert/strict'
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { create, type MessageInitShape } from '@bufbuild/protobuf'
import {
  AssignmentSchema,
  AssignmentUpdateSchema,
  ReplicaState,
  type Assignment,
  type ReplicaObservation,
  type WorkloadSpecSchema,
} from '@cloudless/api'
import { CloudlessError, systemClock } from '@cloudless/base'
import { FakeRuntime, oneShot } from '../testing/fake-runtime.ts'
import { QuietLogger, quietMetrics } from '../testing/quiet.ts'
import { waitFor } from '../testing/wait-for.ts'
import { openAssignmentRecord } from './assignment-record.ts'
import { Supervisor } from './supervisor.ts'

let directory: string
let runtime: FakeRuntime
let logger: QuietLogger
let open: Supervisor[]
let reported: ReplicaObservation[]

/** A runtime and a directory of its own for each test. */
function withRuntime(): void {
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'cloudless-supervisor-'))
    runtime = new FakeRuntime()
    logger = new QuietLogger()
    open = []
    reported = []
  })
  afterEach(async () => {
    await Promise.all(open.map((supervisor) => supervisor.close()))
    rmSync(directory, { recursive: true, force: true })
  })
}

async function startSupervisor(bootId = 'boot-1'): Promise<Supervisor> {
  const record = openAssignmentRecord(join(directory, 'assignments'))
  const supervisor = new Supervisor(
    { clock: systemClock, runtime, record, logger, metrics: quietMetrics },
    { dataDirectory: directory, bootId },
  )
  open.push(supervisor)
  await supervisor.start()
  supervisor.listen((observations) => reported.push(...observations))
  return supervisor
}

/** As after kill -9 of the agent: nothing is told, the containers stay. */
async function leave(supervisor: Supervisor): Promise<void> {
  await supervisor.close()
  open = open.filter((other) => other !== supervisor)
}

type SpecInit = MessageInitShape<typeof WorkloadSpecSchema>

function assign(replicaId: string, spec: SpecInit = {}): Assignment {
  return create(AssignmentSchema, { replicaId, spec: { image: 'nginx:1', ...spec } })
}

const update = (init: MessageInitShape<typeof AssignmentUpdateSchema>) =>
  create(AssignmentUpdateSchema, init)

async function running(supervisor: Supervisor, ...replicaIds: string[]): Promise<void> {
  await waitFor(`${replicaIds.join(', ')} running`, () =>
    replicaIds.every((id) => supervisor.find(id)?.state.stage === 'running'),
  )
}

describe('assignments', () => {
  withRuntime()

  it('are on disk before anything is started', async () => {
    const supervisor = await startSupervisor()
    await supervisor.apply(update({ full: true, upsert: [assign('web-1')] }))
    assert.deepEqual(readdirSync(join(directory, 'assignments')), ['web-1.json'])
    await running(supervisor, 'web-1')
    const last = await waitFor('report', () => reported.findLast((o) => o.ready))
    assert.equal(last.state, ReplicaState.RUNNING)
    assert.equal(last.containerId, 'web-1')
  })

  it('that are not listed in a full update are stopped, removed and reported removed', async () => {
    const supervisor = await startSupervisor()
    await supervisor.apply(update({ full: true, upsert: [assign('web-1'), assign('web-2')] }))
    await running(supervisor, 'web-1', 'web-2')
    await supervisor.apply(update({ full: true, upsert: [assign('web-2')] }))
    await waitFor('removed', () => reported.some((o) => o.replicaId === 'web-1' && o.removed))
    assert.equal(runtime.containers.has('web-1'), false)
    assert.equal(supervisor.find('web-1'), undefined)
    await waitFor('record gone', () => readdirSync(join(directory, 'assignments')).length === 1)
  })

  it('that are being written down when the membership ends are never begun', async () => {
    const supervisor = await startSupervisor()
    const applied = supervisor.apply(update({ full: true, upsert: [assign('web-1')] }))
    await supervisor.stopAll(AbortSignal.timeout(5_000))
    await applied
    await supervisor.apply(update({ upsert: [assign('web-2')] }))
    assert.deepEqual([...supervisor.replicas()], [])
    assert.deepEqual([...runtime.containers.keys()], [])
  })

  it('that are unknown and to be stopped are answered removed', async () => {
    const supervisor = await startSupervisor()
    await supervisor.apply(update({ stop: [{ replicaId: 'old-1' }] }))
    await waitFor('answer', () => reported.some((o) => o.replicaId === 'old-1' && o.removed))
    assert.equal(runtime.calls.includes('stop old-1'), false)
  })

  it('to be stopped again with less grace end sooner', async () => {
    const supervisor = await startSupervisor()
    await supervisor.apply(update({ full: true, upsert: [assign('web-1')] }))
    await running(supervisor, 'web-1')
    const grace = Promise.withResolvers<void>()
    runtime.gates.set('stop web-1', grace.promise)
    await supervisor.apply(update({ stop: [{ replicaId: 'web-1', graceMs: 60_000n }] }))
    await waitFor('the stop', () => runtime.calls.includes('stop web-1'))
    await supervisor.apply(update({ stop: [{ replicaId: 'web-1', graceMs: 0n }] }))
    const stops = (): number => runtime.calls.filter((call) => call === 'stop web-1').length
    await waitFor('the second', () => stops() === 2)
    grace.resolve()
    await waitFor('removed', () => reported.some((o) => o.replicaId === 'web-1' && o.removed))
    assert.equal(stops(), 2)
  })

  it('with another spec replace the container, and with the same leave it alone', async () => {
    const supervisor = await startSupervisor()
    await supervisor.apply(update({ full: true, upsert: [assign('web-1')] }))
    await running(supervisor, 'web-1')
    await supervisor.apply(update({ full: true, upsert: [assign('web-1', { replicas: 7 })] }))
    assert.equal(runtime.calls.filter((call) => call === 'start web-1').length, 1)
    await supervisor.apply(update({ upsert: [assign('web-1', { image: 'nginx:2' })] }))
    await waitFor('new image', () => runtime.containers.get('web-1')?.image === 'nginx:2')
  })

  it('start at most four at once', async () => {
    const supervisor = await startSupervisor()
    const replicaIds = Array.from({ length: 12 }, (_, n) => `web-${n}`)
    await supervisor.apply(update({ full: true, upsert: replicaIds.map((id) => assign(id)) }))
    await running(supervisor, ...replicaIds)
    assert.equal(runtime.startsAtOnceMax, 4)
  })
})

describe('an agent that comes back', () => {
  withRuntime()

  async function leaveRunning(...replicaIds: string[]): Promise<void> {
    const supervisor = await startSupervisor()
    await supervisor.apply(update({ full: true, upsert: replicaIds.map((id) => assign(id)) }))
    await running(supervisor, ...replicaIds)
    await leave(supervisor)
    runtime.calls.length = 0
  }

  it('adopts what runs without touching it', async () => {
    await leaveRunning('web-1', 'web-2')
    const supervisor = await startSupervisor()
    await supervisor.apply(update({ full: true, upsert: [assign('web-1'), assign('web-2')] }))
    await running(supervisor, 'web-1', 'web-2')
    assert.deepEqual(runtime.calls, ['list'])
    assert.deepEqual(
      supervisor.observations().map(({ ready, restartCount }) => [ready, restartCount]),
      [
        [true, 0],
        [true, 0],
      ],
    )
  })

  it('restarts what ended meanwhile, and counts it', async () => {
    await leaveRunning('web-1')
    runtime.end('web-1', 3)
    const supervisor = await startSupervisor()
    await waitFor('back-off', () => supervisor.find('web-1')?.state.stage === 'waiting')
    assert.equal(supervisor.find('web-1')?.state.lastEnd?.exitCode, 3)
  })

  it('after a reboot starts nothing before it is released, then everything', async () => {
    await leaveRunning('web-1')
    runtime.containers.clear()
    const supervisor = await startSupervisor('boot-2')
    assert.equal(supervisor.find('web-1')?.state.stage, 'new')
    supervisor.release()
    await running(supervisor, 'web-1')
    assert.equal(supervisor.find('web-1')?.state.restartCount, 0)
    assert.notEqual(runtime.requests.at(-1)?.address, undefined)
  })

  it('after a reboot never starts what the coordinator no longer lists', async () => {
    await leaveRunning('web-1')
    runtime.containers.clear()
    const supervisor = await startSupervisor('boot-2')
    await supervisor.apply(update({ full: true, upsert: [] }))
    supervisor.release()
    await waitFor('removed', () => reported.some((o) => o.removed))
    assert.equal(runtime.calls.includes('start web-1'), false)
  })

  it('removes a container of ours that no record explains', async () => {
    await leaveRunning('web-1')
    rmSync(join(directory, 'assignments', 'web-1.json'))
    await startSupervisor()
    await waitFor('removed', () => !runtime.containers.has('web-1'))
  })

  it('puts a damaged record aside, and adopts its container when it is assigned again', async () => {
    await leaveRunning('web-1')
    writeFileSync(join(directory, 'assignments', 'web-1.json'), '{"schema":1,"body":"ha')
    const supervisor = await startSupervisor()
    assert.ok(logger.said.some((line) => line.includes('is damaged')))
    assert.deepEqual(readdirSync(join(directory, 'assignments')), ['web-1.json.damaged'])
    await supervisor.apply(update({ full: true, upsert: [assign('web-1')] }))
    await running(supervisor, 'web-1')
    assert.equal(runtime.calls.includes('start web-1'), false)
  })

  it('goes on stopping what it was told to stop', async () => {
    await leaveRunning('web-1')
    const supervisor = await startSupervisor()
    let open_ = (): void => {}
    runtime.gates.set('stop web-1', new Promise((resolve) => (open_ = resolve)))
    await supervisor.apply(update({ stop: [{ replicaId: 'web-1' }] }))
    const leaving = leave(supervisor)
    runtime.gates.clear()
    const next = await startSupervisor()
    await waitFor('removed', () => !runtime.containers.has('web-1'))
    assert.equal(next.find('web-1'), undefined)
    open_()
    await leaving
  })

  it('does not start again what ended for good', async () => {
    const never = { restartPolicy: { policy: 3 } } as const
    const supervisor = await startSupervisor()
    await supervisor.apply(update({ full: true, upsert: [assign('job-1', never)] }))
    await running(supervisor, 'job-1')
    runtime.end('job-1', 0)
    await waitFor('ended', () => supervisor.find('job-1')?.state.stage === 'succeeded')
    await leave(supervisor)
    const next = await startSupervisor('boot-2')
    await next.apply(update({ full: true, upsert: [assign('job-1', never)] }))
    next.release()
    assert.equal(next.observations()[0]?.state, ReplicaState.STOPPED)
    assert.equal(runtime.calls.filter((call) => call === 'start job-1').length, 1)
  })
})

describe('a replica that is not to run without the coordinator', () => {
  withRuntime()

  it('is stopped, stays so over a restart of the agent, and runs again once it is assigned', async () => {
    const first = await startSupervisor()
    await first.apply(update({ full: true, upsert: [assign('web-1')] }))
    await running(first, 'web-1')
    first.suspend('web-1', 'stopped after 5m without the coordinator')
    await waitFor('stopped', () => first.find('web-1')?.state.stage === 'new')
    await leave(first)
    const second = await startSupervisor()
    second.release()
    await waitFor('adopted', () => second.find('web-1') !== undefined)
    assert.equal(second.find('web-1')!.state.stage, 'new')
    await second.apply(update({ full: true, upsert: [assign('web-1')] }))
    await running(second, 'web-1')
    assert.equal(runtime.calls.filter((call) => call === 'start web-1').length, 2)
  })
})

describe('faults', () => {
  withRuntime()

  it('an exit is followed by a restart of the same container id', async () => {
    const supervisor = await startSupervisor()
    const quick = { restartPolicy: { backoffMs: 1n } }
    await supervisor.apply(update({ full: true, upsert: [assign('web-1', quick)] }))
    await running(supervisor, 'web-1')
    runtime.end('web-1', 1)
    await waitFor('second start', () => runtime.requests.length === 2)
    await running(supervisor, 'web-1')
    assert.equal(supervisor.find('web-1')?.state.restartCount, 1)
  })

  it('news of a run that has been replaced since changes nothing', async () => {
    const supervisor = await startSupervisor()
    await supervisor.apply(update({ full: true, upsert: [assign('web-1')] }))
    await running(supervisor, 'web-1')
    const exit = { containerId: 'web-1', exitCode: 1, oomKilled: false, finishedAtMs: 1 }
    runtime.tell({ kind: 'exit', exit })
    runtime.tell({ kind: 'unavailable', message: 'marker' })
    await waitFor('marker', () => logger.said.some((line) => line.includes('marker')))
    assert.equal(supervisor.find('web-1')?.state.stage, 'running')
  })

  it('containers that died while containerd was away are restarted when it returns', async () => {
    const supervisor = await startSupervisor()
    const quick = { restartPolicy: { backoffMs: 1n } }
    await supervisor.apply(update({ full: true, upsert: [assign('web-1', quick)] }))
    await running(supervisor, 'web-1')
    runtime.containers.delete('web-1')
    runtime.tell({ kind: 'reconnected' })
    await waitFor('started again', () => runtime.requests.length === 2)
  })

  it('an absent runtime at the start is waited for', async () => {
    runtime.faults.set('list', new CloudlessError('unavailable', 'no containerd'))
    const supervisor = await startSupervisor()
    assert.equal(supervisor.runtimeReady, false)
    await supervisor.apply(update({ full: true, upsert: [assign('web-1')] }))
    assert.equal(runtime.requests.length, 0)
    runtime.faults.clear()
    runtime.tell({ kind: 'reconnected' })
    await running(supervisor, 'web-1')
  })

  it('a stop during a pull that hangs cancels it', async () => {
    runtime.gates.set('pull nginx:1', new Promise(() => {}))
    const supervisor = await startSupervisor()
    await supervisor.apply(update({ full: true, upsert: [assign('web-1')] }))
    await waitFor('pulling', () => runtime.calls.includes('pull nginx:1'))
    await supervisor.apply(update({ stop: [{ replicaId: 'web-1' }] }))
    await waitFor('removed', () => reported.some((o) => o.removed))
  })
})

describe('containers run by hand', () => {
  withRuntime()

  it('survive full updates and are no observation', async () => {
    const supervisor = await startSupervisor()
    await supervisor.runByHand(assign('run-shell'), 'key-1')
    await running(supervisor, 'run-shell')
    await supervisor.apply(update({ full: true, upsert: [] }))
    assert.equal(supervisor.find('run-shell')?.state.stage, 'running')
    assert.deepEqual(supervisor.observations(), [])
    await supervisor.runByHand(assign('run-shell'), 'key-1')
    await assert.rejects(supervisor.runByHand(assign('run-shell'), 'key-2'), {
      code: 'already_exists',
    })
  })
})

describe('probes', () => {
  withRuntime()

  it('of liveness alone leave it ready from the start, and restart it when they fail', async () => {
    let exitCode = 0
    runtime.exec_ = () => oneShot('', exitCode)
    const check = { case: 'exec' as const, value: { command: ['true'] } }
    const livenessProbe = { check, initialDelayMs: 0n, periodMs: 20n, failureThreshold: 1 }
    const supervisor = await startSupervisor()
    const spec = { livenessProbe, restartPolicy: { backoffMs: 1n } }
    await supervisor.apply(update({ full: true, upsert: [assign('web-1', spec)] }))
    await waitFor('ready', () => supervisor.find('web-1')?.state.ready)
    exitCode = 1
    await waitFor('restarted', () => runtime.requests.length === 2)
  })

  it('make it ready when they pass, soon, and restart it when they fail', async () => {
    let status = 503
    const server = createServer((_, response) => response.writeHead(status).end())
    await new Promise<void>((resolve) => server.listen(0, '0.0.0.0', resolve))
    const { port } = server.address() as AddressInfo
    const check = { case: 'http', value: { path: '/', port } } as const
    const probe = { check, initialDelayMs: 0n, periodMs: 20n, failureThreshold: 2 }
    try {
      const supervisor = await startSupervisor()
      const spec = { readinessProbe: probe, restartPolicy: { backoffMs: 1n } }
      await supervisor.apply(update({ full: true, upsert: [assign('web-1', spec)] }))
      await running(supervisor, 'web-1')
      assert.equal(supervisor.find('web-1')?.state.ready, false)
      status = 200
      await waitFor('ready', () => supervisor.find('web-1')?.state.ready)
      status = 500
      await waitFor('unready', () => supervisor.find('web-1')?.state.ready === false)
      assert.match(supervisor.find('web-1')!.state.message, /readiness probe fails: HTTP 500/)
      status = 200
      const live = { ...spec, livenessProbe: probe }
      await supervisor.apply(update({ upsert: [assign('web-1', live)] }))
      await waitFor('replaced', () => runtime.requests.length === 2)
      status = 500
      await waitFor('restarted', () => runtime.requests.length === 3)
      assert.match(supervisor.find('web-1')?.state.lastEnd?.message ?? '', /liveness.*HTTP 500/)
    } finally {
      server.closeAllConnections()
      server.close()
    }
  })
})
