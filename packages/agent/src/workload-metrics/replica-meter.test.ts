import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { test, type TestContext } from 'node:test'
import { create, type MessageInitShape } from '@bufbuild/protobuf'
import { AssignmentSchema, type MetricsEndpointSchema } from '@cloudless/api'
import { systemClock, type Clock } from '@cloudless/base'
import type { ContainerUsage } from '@cloudless/runtime'
import { QuietLogger } from '../testing/quiet.ts'
import { waitFor } from '../testing/wait-for.ts'
import { ReplicaMeter, usagesPerHeartbeatMax, type MeteredReplica } from './replica-meter.ts'

interface Replica {
  readonly stage?: MeteredReplica['state']['stage']
  readonly adHoc?: boolean
  readonly startedMonotonicMs?: number
  readonly metrics?: MessageInitShape<typeof MetricsEndpointSchema>
}

function openMeter(t: TestContext, clock: Clock = systemClock) {
  const replicas = new Map<string, MeteredReplica>()
  const logger = new QuietLogger()
  const meter = new ReplicaMeter({
    clock,
    logger,
    supervisor: { find: (id) => replicas.get(id) },
  })
  t.after(() => meter.close())
  return {
    meter,
    logger,
    run(id: string, facts: Replica = {}): void {
      const { stage = 'running', adHoc = false, startedMonotonicMs = 1, metrics } = facts
      const spec = metrics === undefined ? {} : { metrics }
      const assignment = create(AssignmentSchema, { replicaId: id, spec })
      replicas.set(id, {
        options: { adHoc },
        state: { stage, address: '127.0.0.1', startedMonotonicMs, assignment },
      })
    },
    told: () =>
      meter.take().map(({ replicaId, cpuMillicores, memoryBytes, metrics }) => {
        return [replicaId, cpuMillicores, Number(memoryBytes), metrics] as const
      }),
  }
}

function usage(replicaId: string, readAtMs: number, cpuTotalUs: number): ContainerUsage {
  return {
    containerId: replicaId,
    replicaId,
    readAtMs,
    cpuTotalUs,
    cpuMillicores: 0,
    throttledUs: 0,
    memoryBytes: 1_000,
    memoryLimitBytes: 0,
    pids: 1,
    storageBytes: 0,
    networkReceivedBytes: 0,
    networkSentBytes: 0,
  }
}

test('the CPU told is the mean since it was told last, whatever was sampled between', (t) => {
  const { meter, run, told } = openMeter(t)
  run('web-1')
  meter.sampled([usage('web-1', 1_000, 5_000_000)])
  assert.deepEqual(told(), [], 'one sample has no mean')
  meter.sampled([usage('web-1', 6_000, 5_500_000)])
  meter.sampled([usage('web-1', 11_000, 8_000_000)])
  assert.deepEqual(told(), [['web-1', 300, 1_000, {}]])
  assert.deepEqual(told(), [], 'nothing is new')
  meter.sampled([usage('web-1', 16_000, 8_500_000)])
  assert.deepEqual(told(), [['web-1', 100, 1_000, {}]])
})

test('a run that ended has no part in the mean of the next', (t) => {
  const { meter, run, told } = openMeter(t)
  run('web-1')
  meter.sampled([usage('web-1', 1_000, 5_000_000)])
  meter.sampled([usage('web-1', 6_000, 6_000_000)])
  run('web-1', { startedMonotonicMs: 7_000 })
  meter.sampled([usage('web-1', 11_000, 9_000_000)])
  assert.deepEqual(told(), [])
  meter.sampled([usage('web-1', 16_000, 10_000)])
  assert.deepEqual(told(), [], 'a counter that goes back is of another run, too')
  meter.sampled([usage('web-1', 21_000, 510_000)])
  assert.deepEqual(told(), [['web-1', 100, 1_000, {}]])
})

test('only replicas that run are told of, and no containers run by hand', (t) => {
  const { meter, run, told } = openMeter(t)
  run('stopping', { stage: 'stopping' })
  run('run-shell', { adHoc: true })
  run('web-1')
  for (const n of [1, 2]) {
    const ids = ['stopping', 'run-shell', 'not-ours', 'web-1']
    meter.sampled(ids.map((id) => usage(id, n * 1_000, n * 1_000)))
  }
  assert.deepEqual(told(), [['web-1', 1, 1_000, {}]])
  meter.sampled([usage('web-1', 3_000, 3_000)])
  meter.sampled([])
  assert.deepEqual(told(), [], 'it is gone')
})

test('a heartbeat tells of a bounded number, the next of those that are left', (t) => {
  const { meter, run, told } = openMeter(t)
  const ids = Array.from({ length: usagesPerHeartbeatMax + 20 }, (_, n) => `web-${n}`)
  for (const id of ids) run(id)
  meter.sampled(ids.map((id) => usage(id, 1_000, 0)))
  meter.sampled(ids.map((id) => usage(id, 2_000, 0)))
  assert.equal(told().length, usagesPerHeartbeatMax)
  meter.sampled(ids.map((id) => usage(id, 3_000, 0)))
  const next = told().map(([id]) => id)
  assert.deepEqual(next.slice(0, 20), ids.slice(-20))
})

/** A server whose every page is made by `page`; undefined: it hangs. */
async function serve(t: TestContext, page: () => string | undefined) {
  const seen = { requests: 0 }
  const server = createServer((_, response) => {
    seen.requests++
    const text = page()
    if (text !== undefined) response.end(text)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.after(() => {
    server.closeAllConnections()
    server.close()
  })
  return { seen, port: (server.address() as AddressInfo).port }
}

test('what a replica tells of itself goes along, counters as rates', async (t) => {
  let requests = 0
  const { port } = await serve(t, () => `queue 7\nrequests_total ${(requests += 1_000)}\nother 1\n`)
  const { meter, run } = openMeter(t)
  run('web-1', { metrics: { port, path: '/metrics', names: ['queue', 'requests_total'] } })
  let readAtMs = 0
  let figures: Record<string, number> = {}
  await waitFor('a rate is told', () => {
    meter.sampled([usage('web-1', (readAtMs += 1_000), 0)])
    figures = meter.take()[0]?.metrics ?? {}
    return 'requests_total' in figures
  })
  assert.equal(figures['queue'], 7)
  assert.ok(figures['requests_total']! > 0)
  assert.deepEqual(Object.keys(figures).sort(), ['queue', 'requests_total'])
})

test('nothing is asked of a replica whose spec names no figures', async (t) => {
  const { seen } = await serve(t, () => 'queue 7')
  const { meter, run, told } = openMeter(t)
  run('web-1')
  for (const n of [1, 2, 3]) meter.sampled([usage('web-1', n * 1_000, 0)])
  await new Promise((resolve) => setImmediate(resolve))
  assert.equal(told().length, 1)
  assert.equal(seen.requests, 0)
})

test('one that hangs is asked once at a time, and keeps nobody from being told of', async (t) => {
  const hanging = await serve(t, () => undefined)
  const healthy = await serve(t, () => 'queue 7')
  // Whose deadlines never come.
  const { meter, run } = openMeter(t, { ...systemClock, after: () => () => {} })
  run('web-1', { metrics: { port: hanging.port, path: '/', names: ['queue'] } })
  run('web-2', { metrics: { port: healthy.port, path: '/', names: ['queue'] } })
  let readAtMs = 0
  let told = new Map<string, Record<string, number>>()
  await waitFor('the healthy one is told of', () => {
    readAtMs += 1_000
    meter.sampled(['web-1', 'web-2'].map((id) => usage(id, readAtMs, 0)))
    told = new Map(meter.take().map(({ replicaId, metrics }) => [replicaId, metrics]))
    return told.get('web-2')?.['queue'] === 7
  })
  assert.deepEqual(told.get('web-1'), {})
  await waitFor('the healthy one is asked again and again', () => {
    readAtMs += 1_000
    meter.sampled(['web-1', 'web-2'].map((id) => usage(id, readAtMs, 0)))
    return healthy.seen.requests > 5 && hanging.seen.requests > 0
  })
  assert.equal(hanging.seen.requests, 1)
})

test('a place without figures is said once, not with every try', async (t) => {
  const { port } = await serve(t, () => 'queue 1')
  const { meter, run, logger } = openMeter(t)
  // Nobody listens on the port of a server that has been closed.
  const closed = createServer().listen(0, '127.0.0.1')
  await new Promise((resolve) => closed.once('listening', resolve))
  const gone = (closed.address() as AddressInfo).port
  await new Promise((resolve) => closed.close(resolve))
  run('web-1', { metrics: { port: gone, path: '/figures', names: ['queue'] } })
  let readAtMs = 0
  const sample = (): void => meter.sampled([usage('web-1', (readAtMs += 1_000), 0)])
  await waitFor('it is said', () => (sample(), logger.said.length > 0))
  const message = `cannot read the figures of web-1 on port ${gone}/figures: `
  assert.ok(logger.said[0]!.startsWith(message))
  assert.match(logger.said[0]!, /ECONNREFUSED.*; it is tried again$/)
  run('web-2', { metrics: { port, path: '/', names: ['queue'] } })
  let isTold = false
  await waitFor('the other is told of', () => {
    readAtMs += 1_000
    meter.sampled(['web-1', 'web-2'].map((id) => usage(id, readAtMs, 0)))
    isTold ||= meter.take().some(({ metrics }) => metrics['queue'] === 1)
    return isTold
  })
  assert.equal(logger.said.length, 1)
})
