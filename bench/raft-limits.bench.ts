/**
 * How much three coordinators hold: what so many records take, how soon a coordinator that was killed has read them again and
 * another one leads with them, and how many watches one coordinator serves.
 *
 *     OBJECTS=100000 WATCHES=2000 node bench/raft-limits.bench.ts
 */
import { join } from 'node:path'
import { formatBytes, systemClock } from '@cloudless/base'
import {
  applyWorkload,
  createApiClient,
  startCoordinators,
  waitFor,
  type CoordinatorOnHost,
} from '@cloudless/test/testkit'
import { startWriter } from './support/api-writers.ts'
import { figuresOf } from './support/process-figures.ts'
import { percentile, printTable, type Row } from './support/table.ts'

const objects = Number(process.env['OBJECTS'] ?? 100_000)
const watches = Number(process.env['WATCHES'] ?? 2_000)
const watchesPerConnection = 100
const writeMsMax = 600_000

const cluster = await startCoordinators({
  prefix: 'blimit',
  subnet: '10.81.12',
  config: { api: { rate_limit: 1_000_000, rate_burst: 1_000_000 } },
})
const credentialsDirectory = join(cluster.directory, 'operator')
try {
  printTable('Three coordinators on RAFT, filled', [
    ...(await fill()),
    await restart(),
    await lose(),
    ...(await watch()),
  ])
} finally {
  await cluster.stop()
}

function shown(figure: string, measured: string): Row {
  return { figure, measured, wanted: '(for scale)', isMet: true }
}

async function fill(): Promise<Row[]> {
  const leader = await cluster.leader()
  const before = await databaseBytes(leader)
  const writer = startWriter()
  const order = { address: leader.address, credentialsDirectory, clients: 100 }
  const report = await writer.write({ ...order, durationMs: writeMsMax, countMax: objects })
  writer.end()
  if (report.failed > 0) throw new Error(`${report.failed} writes failed: ${report.firstFailure}`)
  const bytes = await databaseBytes(leader)
  const each = Math.round((bytes - before) / report.acknowledged)
  return [
    shown(
      `${report.acknowledged} records`,
      `written in ${(report.elapsedMs / 1_000).toFixed(0)} s; the database has ${formatBytes(bytes)}, ${each} bytes each`,
    ),
    shown('the leader with its etcd, resident', formatBytes(residentBytes(leader))),
  ]
}

async function databaseBytes(one: CoordinatorOnHost): Promise<number> {
  const { raft } = await cluster.client(one).describeCoordinator({})
  return Number(raft!.databaseBytesUsed)
}

function residentBytes(one: CoordinatorOnHost): number {
  return one.pids().reduce((sum, pid) => sum + figuresOf(pid).residentBytes, 0)
}

async function restart(): Promise<Row> {
  const [follower] = await cluster.followers()
  await follower!.killWithRaftMember()
  const startMs = systemClock.monotonicMs()
  await follower!.start()
  const tookMs = systemClock.monotonicMs() - startMs
  await cluster.waitUntilAllAreWell()
  return shown(
    'a coordinator that was killed, with its member: ready after',
    `${Math.round(tookMs)} ms`,
  )
}

async function lose(): Promise<Row> {
  const leader = await cluster.leader()
  const [other] = await cluster.followers()
  const api = cluster.client(other!)
  await api.listCoordinators({})
  const startMs = systemClock.monotonicMs()
  const killed = leader.kill()
  await waitFor(() => api.createJoinToken({ ttlMs: 60_000n }), {
    what: 'a write to be acknowledged',
    deadlineMs: 60_000,
    pollMs: 5,
  })
  const tookMs = systemClock.monotonicMs() - startMs
  await killed
  await leader.start()
  await cluster.waitUntilAllAreWell()
  return shown('kill -9 of the leader: next acknowledged write', `${Math.round(tookMs)} ms`)
}

async function watch(): Promise<Row[]> {
  const leader = await cluster.leader()
  const before = residentBytes(leader)
  const name = 'watched'
  const ending = new AbortController()
  const seenAtMs: number[] = []
  const open = Promise.withResolvers<void>()
  let openCount = 0
  let client = createApiClient(leader.address, credentialsDirectory)
  for (let n = 0; n < watches; n++) {
    if (n % watchesPerConnection === 0)
      client = createApiClient(leader.address, credentialsDirectory)
    const stream = client.watchWorkloads({}, { signal: ending.signal, timeoutMs: 0 })
    const follow = async (): Promise<void> => {
      let isOpen = false
      for await (const { workload } of stream) {
        if (!isOpen && ++openCount === watches) open.resolve()
        isOpen = true
        if (workload?.name === name) return void seenAtMs.push(systemClock.monotonicMs())
      }
    }
    follow().catch(open.reject)
  }
  await open.promise
  const each = (residentBytes(leader) - before) / watches
  const startMs = systemClock.monotonicMs()
  await applyWorkload(cluster, { name, replicas: 0 })
  const appliedMs = systemClock.monotonicMs()
  while (seenAtMs.length < watches) await new Promise((resolve) => setImmediate(resolve))
  ending.abort()
  const sinceMs = seenAtMs.map((atMs) => atMs - startMs)
  return [
    shown(`${watches} watches of workloads on one coordinator`, `${formatBytes(each)} each`),
    shown(
      'a change that all of them are told',
      `p50 ${Math.round(percentile(sinceMs, 0.5))} ms, last ${Math.round(Math.max(...sinceMs))} ms after it was asked for (acknowledged after ${Math.round(appliedMs - startMs)} ms)`,
    ),
  ]
}
