/** How long people wait: for a device to join, for three replicas, for a hundred. */
import { rmSync } from 'node:fs'
import { NodePhase, ReplicaState } from '@cloudless/api'
import { systemClock } from '@cloudless/base'
import { applyWorkload, startCluster, type ApiClient } from '@cloudless/test/testkit'
import { whenWorkload } from './support/api.ts'
import { percentile, printTable, summarizeMs } from './support/table.ts'

const joinRuns = Number(process.env['RUNS'] ?? 10)
const smallRuns = Number(process.env['RUNS'] ?? 10)
const largeRuns = Math.min(3, smallRuns)
const many = 100

const cluster = await startCluster({
  prefix: 'bstart',
  subnet: '10.81.2',
  agents: ['a', 'b', 'c'].map((name) => ({ name, zone: name, cpuCores: 16, memoryMb: 8192 })),
})
try {
  const client = cluster.client
  const three: number[] = []
  for (let run = 0; run < smallRuns; run++) three.push(await timeApply(client, 3))
  const hundred: number[] = []
  for (let run = 0; run < largeRuns; run++) hundred.push(await timeScale(client, many))
  const joins: { readonly enrolledMs: number; readonly startedMs: number }[] = []
  await cluster.addAgent({ name: 'joiner' }, { start: false })
  for (let run = 0; run < joinRuns; run++) joins.push(await timeJoin(client))
  const enrolled = joins.map((join) => join.enrolledMs)
  const started = joins.map((join) => join.startedMs)
  printTable('Waiting for things to start', [
    {
      figure: 'join: enrolled -> schedulable',
      measured: summarizeMs(enrolled),
      wanted: 'p50 <= 300 ms',
      isMet: percentile(enrolled, 0.5) <= 300,
    },
    {
      figure: 'join: the agent is executed -> schedulable',
      measured: summarizeMs(started),
      wanted: '(for scale)',
      isMet: true,
    },
    {
      figure: 'cloudlessctl apply of 3 replicas, image present -> all ready',
      measured: summarizeMs(three),
      wanted: 'p50 <= 1000 ms',
      isMet: percentile(three, 0.5) <= 1_000,
    },
    {
      figure: `scaled to ${many} replicas on 3 agents -> all running with their networks`,
      measured: summarizeMs(hundred),
      wanted: '<= 8000 ms (Swarm here: 16300 ms)',
      isMet: percentile(hundred, 0.5) <= 8_000,
    },
  ])
} finally {
  await cluster.stop()
}

/** From the start of `cloudlessctl apply` until the workload has them all ready. */
async function timeApply(client: ApiClient, replicas: number): Promise<number> {
  const signal = AbortSignal.timeout(30_000)
  const watch = client.watchWorkloads({}, { signal })[Symbol.asyncIterator]()
  await watch.next()
  const startedMs = systemClock.monotonicMs()
  const applied = applyWorkload(cluster, { name: 'web', replicas })
  for (;;) {
    const { value } = await watch.next()
    if (value?.workload?.status?.readyReplicas === replicas) break
  }
  const tookMs = systemClock.monotonicMs() - startedMs
  await applied
  await deleteWorkload()
  return tookMs
}

/** From the scaling of a workload of none until so many run, each with its address. */
async function timeScale(client: ApiClient, replicas: number): Promise<number> {
  await applyWorkload(cluster, {
    name: 'web',
    replicas: 0,
    spec: { resources: { requests: { cpu_millicores: 10, memory_bytes: '8Mi' } } },
  })
  const startedMs = systemClock.monotonicMs()
  await client.scaleWorkload({ workloadId: 'web', replicas })
  await whenWorkload(client, 'web', 60_000, (_workload, all) => {
    const running = all.filter((r) => r.state === ReplicaState.RUNNING && r.address !== '')
    return running.length === replicas
  })
  const tookMs = systemClock.monotonicMs() - startedMs
  await deleteWorkload()
  return tookMs
}

async function deleteWorkload(): Promise<void> {
  await cluster.ctl.run(['workload', 'delete', 'web', '--wait', '--timeout', '60s'])
}

async function timeJoin(client: ApiClient): Promise<{ enrolledMs: number; startedMs: number }> {
  const agent = cluster.agent('joiner')
  const token = await cluster.createToken()
  const signal = AbortSignal.timeout(30_000)
  let enrolledAtMs = 0
  const ready = (async () => {
    for await (const { node } of client.watchNodes({}, { signal })) {
      if (node?.name !== 'joiner') continue
      if (enrolledAtMs === 0) enrolledAtMs = systemClock.monotonicMs()
      if (node.status?.phase === NodePhase.READY) return systemClock.monotonicMs()
    }
    throw new Error('the node did not become ready')
  })()
  const executedAtMs = systemClock.monotonicMs()
  await agent.start(token)
  const readyAtMs = await ready
  await agent.kill()
  await cluster.ctl.text(['node', 'remove', 'joiner', '--force'])
  rmSync(agent.dataDirectory, { recursive: true, force: true })
  return { enrolledMs: readyAtMs - enrolledAtMs, startedMs: readyAtMs - executedAtMs }
}
