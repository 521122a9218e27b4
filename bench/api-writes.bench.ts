/**
 * How many writes a second are acknowledged through the API, each durable before its answer: by one coordinator with SQLite,
 * and by the leader of three with RAFT on this machine.
 */
import { join } from 'node:path'
import { startCluster, startCoordinators } from '@cloudless/test/testkit'
import type { WriteReport } from './support/api-writer.ts'
import { startWriter } from './support/api-writers.ts'
import { percentile, printTable } from './support/table.ts'

const clients = Number(process.env['CLIENTS'] ?? 100)
const durationMs = Number(process.env['SECONDS_MEASURED'] ?? 10) * 1_000
const warmUpMs = 3_000
const wanted = { sqlite: 5_000, raft: 2_000 }
const unlimited = { api: { rate_limit: 1_000_000, rate_burst: 1_000_000 } }

const rows = [await measureSqlite(), await measureRaft()]
printTable(`Writes acknowledged through the API, ${clients} clients`, rows)

async function measureSqlite() {
  const cluster = await startCluster({
    prefix: 'bwrite',
    subnet: '10.81.10',
    agents: [],
    coordinatorConfig: unlimited,
  })
  try {
    const report = await write(cluster.address, cluster.directory)
    return rowOf('one coordinator, SQLite', report, wanted.sqlite)
  } finally {
    await cluster.stop()
  }
}

async function measureRaft() {
  const cluster = await startCoordinators({
    prefix: 'bwrite',
    subnet: '10.81.10',
    config: unlimited,
  })
  try {
    const { address } = await cluster.leader()
    const report = await write(address, cluster.directory)
    return rowOf('three coordinators, RAFT', report, wanted.raft)
  } finally {
    await cluster.stop()
  }
}

async function write(address: string, directory: string): Promise<WriteReport> {
  const order = { address, credentialsDirectory: join(directory, 'operator'), clients }
  const writer = startWriter()
  await writer.write({ ...order, durationMs: warmUpMs })
  const report = await writer.write({ ...order, durationMs })
  writer.end()
  return report
}

function rowOf(figure: string, report: WriteReport, perSecondMin: number) {
  const { acknowledged, elapsedMs, latenciesMs, failed, firstFailure } = report
  const perSecond = acknowledged / (elapsedMs / 1_000)
  const failures = failed > 0 ? `; ${failed} failed: ${firstFailure}` : ''
  return {
    figure,
    measured:
      `${Math.round(perSecond)}/s, p50 ${percentile(latenciesMs, 0.5).toFixed(1)} ms, ` +
      `p99 ${percentile(latenciesMs, 0.99).toFixed(1)} ms${failures}`,
    wanted: `>= ${perSecondMin}/s`,
    isMet: perSecond >= perSecondMin && failed === 0,
  }
}
