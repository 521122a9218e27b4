/**
 * How many replicas one coordinator takes, and how fast: the real program with its real store, and agents that speak the
 * real protocol over TLS but run nothing. A replica is done when its agent was told of it, has said that it runs, and
 * that is stored.
 *
 *     node bench/million.bench.ts --replicas 1000000 --nodes 5000
 *
 * Without flags it is small enough to try.
 */
import type { ChildProcess } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { WorkloadPhase } from '@cloudless/api'
import { formatBytes, systemClock } from '@cloudless/base'
import {
  createApiClient,
  createCoordinator,
  waitFor,
  type ApiClient,
} from '@cloudless/test/testkit'
import { forkHollowAgents, hear, tell } from './support/hollow-process.ts'
import { figuresOf } from './support/process-figures.ts'
import { percentile, printTable } from './support/table.ts'

const { values: flags } = parseArgs({
  options: {
    replicas: { type: 'string', default: '20000' },
    nodes: { type: 'string', default: '100' },
    /** Replicas of each workload; "mixed": 1 to 10,000, most of them small. */
    size: { type: 'string', default: '1000' },
    /** Calls under way at once. */
    callers: { type: 'string', default: '8' },
    /** Says how far it is, each second. */
    progress: { type: 'boolean', default: false },
    /** Keeps the coordinator's directory, which is printed. */
    keep: { type: 'boolean', default: false },
    /** A directory for CPU profiles of the coordinator's threads. */
    profile: { type: 'string' },
  },
})
const replicaCount = Number(flags.replicas)
const nodeCount = Number(flags.nodes)
const address = '127.0.0.1:18480'

const directory = mkdtempSync(join(tmpdir(), 'cloudless-million-'))
const coordinator = createCoordinator({
  dataDirectory: join(directory, 'coordinator'),
  bindAddresses: [address],
  healthAddress: '127.0.0.1:18481',
  ...(flags.profile === undefined
    ? {}
    : { env: { NODE_OPTIONS: `--cpu-prof --cpu-prof-dir=${flags.profile}` } }),
  config: {
    // As an operator of thousands of nodes would set it.
    membership: {
      heartbeat_interval: '10s',
      heartbeat_timeout: '30s',
      heartbeat_timeout_max: '60s',
    },
    network: { cluster_cidr: '10.0.0.0/8' },
    api: { rate_limit: 100_000, rate_burst: 100_000 },
  },
})
let hollow: ChildProcess | undefined
try {
  await coordinator.start()
  await coordinator.issueCredentials('bench', join(directory, 'operator'))
  const client = createApiClient(address, join(directory, 'operator'))
  hollow = forkHollowAgents()
  await run(client, hollow)
} finally {
  hollow?.kill('SIGKILL')
  await coordinator.stop()
  if (flags.keep) console.log(`kept: ${directory}`)
  else rmSync(directory, { recursive: true, force: true })
}

async function run(client: ApiClient, agents: ChildProcess): Promise<void> {
  const pid = coordinator.process()!.pid
  const joinStartMs = systemClock.monotonicMs()
  const { token } = await client.createJoinToken({ maxUses: nodeCount, ttlMs: 3_600_000n })
  const caPem = readFileSync(join(directory, 'operator', 'ca.pem'), 'utf8')
  const order = { address, caPem, token, firstNode: 0, nodes: nodeCount }
  tell(agents, { kind: 'join', order })
  await hear(agents, 'joined')
  const joinMs = systemClock.monotonicMs() - joinStartMs
  const idle = figuresOf(pid)

  const startMs = systemClock.monotonicMs()
  const samples: { readonly atMs: number; readonly assigned: number }[] = []
  const workloads = workloadsOf(replicaCount, flags.size)
  const applied = applyAll(client, agents, workloads)
  const appliedMs = applied.then(() => systemClock.monotonicMs() - startMs)
  let assignedMs = 0
  await waitFor(
    async () => {
      tell(agents, { kind: 'count' })
      const { assigned, reported } = await hear(agents, 'count')
      const atMs = systemClock.monotonicMs() - startMs
      samples.push({ atMs, assigned })
      if (assigned >= replicaCount) assignedMs ||= atMs
      if (flags.progress) {
        const { residentBytes, cpuSeconds } = figuresOf(pid)
        console.log(
          `${(atMs / 1_000).toFixed(0)} s: ${assigned} assigned, ${reported} reported, ` +
            `${formatBytes(residentBytes)}, ${(cpuSeconds - idle.cpuSeconds).toFixed(0)} s of CPU`,
        )
      }
      return reported >= replicaCount
    },
    { what: 'every replica to be assigned', deadlineMs: 3_600_000, pollMs: 500 },
  )
  await waitFor(() => allReady(client, workloads.size), {
    what: 'every workload to be ready',
    deadlineMs: 600_000,
    pollMs: 500,
  })
  const storedMs = systemClock.monotonicMs() - startMs
  tell(agents, { kind: 'latencies' })
  const { ms } = await hear(agents, 'latencies')
  print({
    joinMs,
    appliedMs: await appliedMs,
    assignedMs,
    storedMs,
    latenciesMs: [...ms],
    pid,
    idle,
  })
}

interface Measured {
  readonly joinMs: number
  readonly appliedMs: number
  readonly assignedMs: number
  readonly storedMs: number
  readonly latenciesMs: readonly number[]
  readonly pid: number
  readonly idle: ReturnType<typeof figuresOf>
}

function print(measured: Measured): void {
  const { joinMs, appliedMs, assignedMs, storedMs, latenciesMs, pid, idle } = measured
  const { residentBytes, residentBytesMax, cpuSeconds } = figuresOf(pid)
  const seconds = (ms: number): string => `${(ms / 1_000).toFixed(1)} s`
  const isFull = replicaCount >= 1_000_000 && nodeCount >= 5_000
  const usedSeconds = cpuSeconds - idle.cpuSeconds
  const microseconds = Math.round((usedSeconds * 1e6) / replicaCount)
  const shown = (figure: string, text: string) => ({
    figure,
    measured: text,
    wanted: '(for scale)',
    isMet: true,
  })
  printTable(`${replicaCount} replicas on ${nodeCount} hollow agents, ${flags.size} a workload`, [
    shown('all agents enrolled, their sessions open', seconds(joinMs)),
    shown('all applies answered', seconds(appliedMs)),
    shown(
      'all assigned at their agents',
      `${seconds(assignedMs)}, ${Math.round(replicaCount / (assignedMs / 1_000))} a second`,
    ),
    {
      figure: 'all running, and that stored',
      measured: `${seconds(storedMs)}, ${Math.round(replicaCount / (storedMs / 1_000))} a second`,
      wanted: '<= 300 s for a million',
      isMet: !isFull || storedMs <= 300_000,
    },
    shown(
      'from apply to assigned at the agent',
      `p50 ${seconds(percentile(latenciesMs, 0.5))}, p95 ${seconds(percentile(latenciesMs, 0.95))}`,
    ),
    {
      figure: 'coordinator, resident',
      measured:
        `${formatBytes(residentBytesMax)} at most, ${formatBytes(residentBytes)} at the end, ` +
        `${formatBytes(idle.residentBytes)} before`,
      wanted: '<= 4 GiB',
      isMet: residentBytesMax <= 4 * 1024 ** 3,
    },
    shown('coordinator, CPU', `${usedSeconds.toFixed(1)} s, ${microseconds} us a replica`),
  ])
}

/** Names and sizes. */
function workloadsOf(total: number, size: string): Map<string, number> {
  const workloads = new Map<string, number>()
  const mixed = [1, 3, 10, 30, 100, 300, 1_000, 3_000, 10_000]
  for (let left = total, n = 0; left > 0; n++) {
    const wanted = size === 'mixed' ? mixed[n % mixed.length]! : Number(size)
    const replicas = Math.min(left, wanted)
    workloads.set(`web-${n}`, replicas)
    left -= replicas
  }
  return workloads
}

async function applyAll(
  client: ApiClient,
  agents: ChildProcess,
  workloads: ReadonlyMap<string, number>,
): Promise<void> {
  const left = workloads.entries()
  const caller = async (): Promise<void> => {
    for (const [name, replicas] of left) {
      tell(agents, { kind: 'applied', workload: name, atMs: systemClock.wallMs() })
      await client.applyWorkload({
        workload: {
          name,
          labels: { app: name },
          spec: {
            image: 'registry.example/shop/web:1.4.2',
            replicas,
            env: { MODE: 'production', LOG_LEVEL: 'info' },
            ports: [{ name: 'http', containerPort: 8080 }],
            resources: { requests: { cpuMillicores: 100, memoryBytes: 64n << 20n } },
          },
        },
      })
    }
  }
  await Promise.all(Array.from({ length: Number(flags.callers) }, caller))
}

async function allReady(client: ApiClient, count: number): Promise<boolean> {
  let ready = 0
  for (let continueToken = ''; ;) {
    const page = await client.listWorkloads({ limit: 500, continueToken })
    ready += page.workloads.filter((w) => w.status?.phase === WorkloadPhase.RUNNING).length
    continueToken = page.nextToken
    if (continueToken === '') return ready === count
  }
}
