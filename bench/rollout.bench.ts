/**
 * What a client of a service notices while the service is replaced, moved and hit: 10 replicas on real hosts, asked 1,000
 * times a second through their own addresses by a client that follows the service and tries nothing twice
 * (test/testkit/prober.ts says how it behaves). In the last step a machine loses its power silently in the middle of a
 * rollout: requests to it fail until it is given up, no others. RATE and REPLICAS change the run.
 */
import {
  applyProbed,
  proberSteps,
  startCluster,
  startProber,
  steadyWeb,
  waitUntilWhole,
  type ProbeReport,
  type Prober,
  type ProberStep,
} from '@cloudless/test/testkit'
import { percentile, printTable, type Row } from './support/table.ts'

const requestsPerSecond = Number(process.env['RATE'] ?? 1_000)
const replicas = Number(process.env['REPLICAS'] ?? 10)
const service = { name: 'web', replicas, minAvailable: replicas - 1 }

const cluster = await startCluster({
  prefix: 'broll',
  subnet: '10.81.4',
  agents: ['a', 'b', 'c', 'd'].map((name) => ({ name, cpuCores: 4, memoryMb: 2048 })),
  image: steadyWeb,
  reachReplicas: true,
})
let prober: Prober | undefined
try {
  await applyProbed(cluster, service, 1)
  prober = startProber(cluster.client, { workload: service.name, requestsPerSecond })
  await waitUntilWhole(prober.watch, service)
  const rows: Row[] = []
  for (const step of proberSteps(cluster, service, prober)) {
    let died = 0
    const report = await prober.during(async () => void (died = await step.act()))
    rows.push(rowOf(step, report, died))
  }
  printTable(
    `${replicas} replicas asked ${requestsPerSecond} times a second, at least ${service.minAvailable} wanted`,
    rows,
  )
} finally {
  await prober?.stop()
  await cluster.stop()
}

function rowOf(step: ProberStep, report: ProbeReport, died: number): Row {
  const { sent, failures, servingMin, latenciesMs, tookMs } = report
  const floor = service.minAvailable - died
  const unexcused = failures.filter(({ nodeName }) => nodeName !== step.dies)
  const lastedMs = Math.max(0, ...failures.map(({ sentAtMs }) => sentAtMs - failures[0]!.sentAtMs))
  const cost =
    step.dies === undefined
      ? ''
      : ` (all but ${unexcused.length} at ${step.dies}, in ${Math.round(lastedMs)} ms)`
  return {
    figure: `${step.name}, ${(tookMs / 1_000).toFixed(1)} s`,
    measured:
      `${sent} requests, ${failures.length} failed${cost}, at least ${servingMin} served, ` +
      `p99 ${percentile(latenciesMs, 0.99).toFixed(0)} ms`,
    wanted:
      step.dies === undefined
        ? `0 failed, never below ${floor}`
        : `0 failed elsewhere, never below ${floor} (${died} died)`,
    isMet: unexcused.length === 0 && servingMin >= floor,
  }
}
