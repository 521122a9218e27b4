/**
 * Clients that ask a service without pause while it is changed and moved, and while machines die: nothing that we do
 * costs them a request, and what a dying machine costs ends with its verdict.
 */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import {
  applyProbed,
  proberSteps,
  startCluster,
  startProber,
  steadyWeb,
  waitUntilWhole,
  type Cluster,
  type ProbeReport,
  type Prober,
  type ProberStep,
} from '@cloudless/test/testkit'

const service = { name: 'web', replicas: 4, minAvailable: 3 }
const requestsPerSecond = 150
/** From the power cut to the last request sent to the dead: silence, its verdict, and word of it. */
const verdictMsMax = 6_000

let cluster: Cluster
let prober: Prober

before(async () => {
  cluster = await startCluster({
    prefix: 'tprobe',
    subnet: '10.80.32',
    agents: ['a', 'b', 'c'].map((name) => ({ name, cpuCores: 2, memoryMb: 1024 })),
    image: steadyWeb,
    reachReplicas: true,
  })
  await applyProbed(cluster, service, 1)
  prober = startProber(cluster.client, { workload: service.name, requestsPerSecond })
  await waitUntilWhole(prober.watch, service)
})

after(async () => {
  await prober?.stop()
  await cluster?.stop()
})

test('every request is answered through all that we do, and only the dead miss any', async (t) => {
  for (const step of proberSteps(cluster, service, prober)) {
    let died = 0
    const report = await prober.during(async () => void (died = await step.act()))
    t.diagnostic(`${step.name}: ${say(report)}`)
    if (step.dies === undefined) checkOwnStep(step, report)
    else checkDeath(step.dies, died, report)
  }
})

function checkOwnStep(step: ProberStep, report: ProbeReport): void {
  assert.deepEqual(report.failures.slice(0, 5), [], `${step.name} cost requests`)
  const { servingMin } = report
  assert.ok(servingMin >= service.minAvailable, `${step.name} left ${servingMin} serving`)
}

function checkDeath(node: string, died: number, { failures, servingMin }: ProbeReport): void {
  const others = failures.filter((failure) => failure.nodeName !== node)
  assert.deepEqual(others.slice(0, 5), [], `requests failed that ${node} was not asked`)
  const sentMs = failures.map((failure) => failure.sentAtMs)
  const lastedMs = Math.max(...sentMs) - Math.min(...sentMs)
  assert.ok(failures.length === 0 || lastedMs <= verdictMsMax, `they failed for ${lastedMs} ms`)
  const floor = service.minAvailable - died
  assert.ok(servingMin >= floor, `${servingMin} served when ${died} had died`)
}

function say({ sent, failures, servingMin, tookMs }: ProbeReport): string {
  return `${sent} requests in ${Math.round(tookMs)} ms, ${failures.length} failed, at least ${servingMin} served`
}
