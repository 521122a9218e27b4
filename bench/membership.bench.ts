/**
 * What thousands of members cost the coordinator, and how soon it knows who is gone and who has come: the real program
 * with its real store and the membership settings it has by default, and agents that speak the real protocol over TLS
 * but run nothing, in processes beside it.
 *
 *     node bench/membership.bench.ts --nodes 5000
 *
 * The agents need as much of the machine as the coordinator does, and here share two cores with it: what is counted is
 * the coordinator's own CPU time, all its threads, from /proc. Latencies include the wait for a core.
 */
import type { ChildProcess } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { NodePhase } from '@cloudless/api'
import { formatBytes, sleep, systemClock } from '@cloudless/base'
import { createApiClient, createCoordinator, mustRun } from '@cloudless/test/testkit'
import { forkHollowAgents, hear, tell } from './support/hollow-process.ts'
import { NodePhases } from './support/node-phases.ts'
import { figuresOf } from './support/process-figures.ts'
import { percentile, printTable, type Row } from './support/table.ts'

const { values: flags } = parseArgs({
  options: {
    nodes: { type: 'string', default: '1000' },
    /** That join at once in the end. */
    joining: { type: 'string' },
    /** How long the coordinator's CPU is looked at. */
    seconds: { type: 'string', default: '60' },
    /** A file for a CPU profile of the coordinator's main thread while its CPU is looked at. */
    profile: { type: 'string' },
    /** The same of the time while the newcomers join. */
    'profile-joins': { type: 'string' },
  },
})
const nodeCount = Number(flags.nodes)
const joiningCount = Number(flags.joining ?? nodeCount / 5)
const measuredSeconds = Number(flags.seconds)
const isFull = nodeCount >= 5_000 && joiningCount >= 1_000
const joiningProcesses = 4
const joinMsWanted = 10_000
const address = '127.0.0.1:18482'

const directory = mkdtempSync(join(tmpdir(), 'cloudless-membership-'))
const coordinator = createCoordinator({
  dataDirectory: join(directory, 'coordinator'),
  bindAddresses: [address],
  healthAddress: '127.0.0.1:18483',
  config: {
    // The default network has 255 subnets. All agents here have one address, and its strangers one rate.
    network: { cluster_cidr: '10.0.0.0/8' },
    api: { rate_limit: 100_000, rate_burst: 100_000 },
    profiling: { enabled: (flags.profile ?? flags['profile-joins']) !== undefined },
  },
})
const processes: ChildProcess[] = []
try {
  await coordinator.start()
  await coordinator.issueCredentials('bench', join(directory, 'operator'))
  const rows = await measure()
  printTable(`${nodeCount} hollow agents, heartbeats as by default`, rows)
} finally {
  for (const child of processes) child.kill('SIGKILL')
  await coordinator.stop()
  rmSync(directory, { recursive: true, force: true })
}

async function measure(): Promise<Row[]> {
  const client = createApiClient(address, join(directory, 'operator'))
  const phases = new NodePhases(client)
  const { token } = await client.createJoinToken({ maxUses: 10_000, ttlMs: 3_600_000n })
  const caPem = readFileSync(join(directory, 'operator', 'ca.pem'), 'utf8')
  const tenth = Math.floor(nodeCount / 10)
  const rest = nodeCount - 2 * tenth
  let firstNode = 0

  /** A process with so many agents, their keys made. */
  async function prepare(nodes: number): Promise<Group> {
    const child = forkHollowAgents()
    processes.push(child)
    const names = Array.from({ length: nodes }, (_, n) => `hollow-${firstNode + n}`)
    const order = { address, caPem, token, firstNode, nodes, redial: true }
    firstNode += nodes
    tell(child, { kind: 'prepare', nodes })
    await hear(child, 'prepared')
    return { child, names, join: (joiningMax) => joinAll(child, { ...order, joiningMax }) }
  }

  const groups: Group[] = []
  for (const nodes of [tenth, tenth, Math.ceil(rest / 2), Math.floor(rest / 2)]) {
    groups.push(await prepare(nodes))
  }
  const { pid } = coordinator.process()!
  const startMs = systemClock.monotonicMs()
  const cpuSecondsBefore = figuresOf(pid).cpuSeconds
  await Promise.all(groups.map((group) => group.join(8)))
  await phases.when(
    'every agent to be ready',
    600_000,
    () => phases.count(NodePhase.READY) >= nodeCount,
  )
  const allMs = systemClock.monotonicMs() - startMs
  const allCpuSeconds = figuresOf(pid).cpuSeconds - cpuSecondsBefore

  const idle = await measureIdle(pid)
  const silent = await vanish(phases, groups[0]!, 'SIGSTOP')
  const cut = await vanish(phases, groups[1]!, 'SIGKILL')
  const lostFalsely = await countRedials(groups.slice(2))

  // In several processes: a single one would do for all of them what devices do side by side.
  const newcomers: Group[] = []
  for (let n = 0; n < joiningProcesses; n++) {
    newcomers.push(await prepare(Math.ceil(joiningCount / joiningProcesses)))
  }
  const waitedFor = new Set(newcomers.flatMap(({ names }) => names))
  const joinCpuSecondsBefore = figuresOf(pid).cpuSeconds
  const joinStartMs = systemClock.monotonicMs()
  const profiled = flags['profile-joins'] && saveProfile(flags['profile-joins'], joinMsWanted)
  const joined = Promise.all(newcomers.map((group) => group.join(joiningCount)))
  const areReady = (): boolean => {
    for (const name of waitedFor) {
      if (!phases.isReady(name)) return false
      waitedFor.delete(name)
    }
    return true
  }
  await phases.when('the newcomers to be ready', 600_000, areReady)
  const joinMs = systemClock.monotonicMs() - joinStartMs
  const joinCpuSeconds = figuresOf(pid).cpuSeconds - joinCpuSecondsBefore
  await Promise.all([joined, profiled])
  phases.close()
  return [
    shown(
      'all enrolled, their sessions open and schedulable',
      `${(allMs / 1_000).toFixed(1)} s, of which the coordinator computed ${allCpuSeconds.toFixed(1)} s`,
    ),
    ...idle,
    verdicts(`${tenth} vanish at once, silently`, silent),
    verdicts(`${tenth} vanish at once, their connections reset`, cut),
    {
      figure: 'sessions of the others that were ended',
      measured: String(lostFalsely),
      wanted: '0',
      isMet: lostFalsely === 0,
    },
    {
      figure: `${joiningCount} join at once: enrolled, connected, schedulable`,
      measured: `${(joinMs / 1_000).toFixed(1)} s, of which the coordinator computed ${joinCpuSeconds.toFixed(1)} s`,
      wanted: '<= 10 s (1,000 beside 5,000)',
      isMet: joinMs <= joinMsWanted || !isFull,
    },
  ]
}

interface Group {
  readonly child: ChildProcess
  readonly names: readonly string[]
  /** Resolves when all have their first assignments. */
  readonly join: (joiningMax: number) => Promise<void>
}

async function joinAll(
  child: ChildProcess,
  order: Extract<Parameters<typeof tell>[1], { kind: 'join' }>['order'],
): Promise<void> {
  tell(child, { kind: 'join', order })
  await hear(child, 'joined')
}

async function countRedials(groups: readonly Group[]): Promise<number> {
  let count = 0
  for (const { child } of groups) {
    tell(child, { kind: 'count' })
    count += (await hear(child, 'count')).redials
  }
  return count
}

async function measureIdle(pid: number): Promise<Row[]> {
  const before = figuresOf(pid)
  const startMs = systemClock.monotonicMs()
  if (flags.profile === undefined) await sleep(systemClock, measuredSeconds * 1_000)
  else await saveProfile(flags.profile, measuredSeconds * 1_000)
  const after = figuresOf(pid)
  const tookMs = systemClock.monotonicMs() - startMs
  const percent = ((after.cpuSeconds - before.cpuSeconds) / (tookMs / 1_000)) * 100
  return [
    {
      figure: `coordinator, CPU over ${measuredSeconds} s`,
      measured: `${percent.toFixed(1)} % of a core`,
      wanted: '<= 50 % (5,000 agents)',
      isMet: percent <= 50 || !isFull,
    },
    shown(
      'coordinator, resident',
      `${formatBytes(after.residentBytes)}, ${formatBytes(after.residentBytesMax)} at most`,
    ),
  ]
}

async function saveProfile(path: string, durationMs: number): Promise<void> {
  const operator = join(directory, 'operator')
  const url = `https://${address}/debug/profile/cpu?seconds=${durationMs / 1_000}`
  const credentials = ['--cert', join(operator, 'cert.pem'), '--key', join(operator, 'key.pem')]
  await mustRun(['curl', '-sf', '--insecure', ...credentials, '-o', path, url], {
    deadlineMs: durationMs + 30_000,
  })
}

/** Milliseconds from the signal to the verdict of each. */
async function vanish(phases: NodePhases, group: Group, signal: NodeJS.Signals): Promise<number[]> {
  const startMs = systemClock.monotonicMs()
  group.child.kill(signal)
  const areLost = (): boolean => phases.lostAmong(group.names) === group.names.length
  await phases.when('the verdict of all that vanished', 120_000, areLost, () =>
    phases.exceptionsTo(NodePhase.OFFLINE, group.names),
  )
  if (signal === 'SIGSTOP') group.child.kill('SIGKILL')
  return group.names.map((name) => phases.changedAtMs(name) - startMs)
}

function verdicts(figure: string, samplesMs: readonly number[]): Row {
  const p95Ms = percentile(samplesMs, 0.95)
  const ms = (value: number): string => `${Math.round(value)} ms`
  return {
    figure: `${figure}: verdicts`,
    measured: `p50 ${ms(percentile(samplesMs, 0.5))}, p95 ${ms(p95Ms)}, last ${ms(Math.max(...samplesMs))}`,
    wanted: 'p95 <= 5000 ms',
    isMet: p95Ms <= 5_000,
  }
}

function shown(figure: string, measured: string): Row {
  return { figure, measured, wanted: '(for scale)', isMet: true }
}
