/**
 * Three coordinators at rest with three agents: what they cost; and whether anyone stands for election, of the coordinators or
 * of their RAFT members, while both cores of the machine are busy with something else.
 */
import { spawn } from 'node:child_process'
import { availableParallelism } from 'node:os'
import { sleep, systemClock } from '@cloudless/base'
import {
  startCoordinators,
  type CoordinatorOnHost,
  type Coordinators,
} from '@cloudless/test/testkit'
import { figuresOf, type ProcessFigures } from './support/process-figures.ts'
import { percentile, printTable } from './support/table.ts'

/** Until nothing is new any more, V8's compilers included. */
const settleMs = Number(process.env['SECONDS_SETTLED'] ?? 300) * 1_000
const restMs = Number(process.env['SECONDS_MEASURED'] ?? 60) * 1_000
const busyMs = Number(process.env['MINUTES_BUSY'] ?? 10) * 60_000
const sampleMs = 5_000

const cluster = await startCoordinators({
  prefix: 'bsteady',
  subnet: '10.81.11',
  agents: ['a', 'b', 'c'].map((name) => ({ name, cpuCores: 2, memoryMb: 2048 })),
  withImage: false,
})
try {
  await sleep(systemClock, settleMs)
  const rest = await measureRest(cluster)
  const busy = await measureBusy(cluster)
  printTable('Three coordinators on RAFT, three agents', [...rest, busy])
} finally {
  await cluster.stop()
}

async function measureRest({ all }: Coordinators) {
  const rows = []
  const cpuOf = (one: CoordinatorOnHost): number => sumOf(one, ({ cpuSeconds }) => cpuSeconds)
  const before = all.map(cpuOf)
  const memory = all.map(() => [] as number[])
  const samples = Math.max(1, Math.round(restMs / sampleMs))
  for (let sample = 0; sample < samples; sample++) {
    await sleep(systemClock, restMs / samples)
    for (const [n, one] of all.entries()) {
      memory[n]!.push(sumOf(one, ({ residentBytes }) => residentBytes / 1e6))
    }
  }
  const leader = await cluster.leader()
  for (const [n, one] of all.entries()) {
    const percent = ((cpuOf(one) - before[n]!) / (restMs / 1_000)) * 100
    const mb = percentile(memory[n]!, 0.5)
    rows.push({
      figure: `${one === leader ? 'the leader' : 'a follower'} with its etcd, at rest`,
      measured: `${mb.toFixed(0)} MB resident, ${percent.toFixed(2)} % of a core`,
      wanted: '<= 300 MB, <= 3 %',
      isMet: mb <= 300 && percent <= 3,
    })
  }
  return rows
}

/** Of the coordinator and its RAFT member together. */
function sumOf(one: CoordinatorOnHost, figure: (figures: ProcessFigures) => number): number {
  return one.pids().reduce((sum, pid) => sum + figure(figuresOf(pid)), 0)
}

async function measureBusy({ ctl }: Coordinators) {
  const before = await termsOf(ctl)
  const loops = Array.from({ length: availableParallelism() }, () =>
    spawn(process.execPath, ['-e', 'for (;;) {}'], { stdio: 'ignore' }),
  )
  try {
    await sleep(systemClock, busyMs)
  } finally {
    for (const loop of loops) loop.kill('SIGKILL')
  }
  const after = await termsOf(ctl)
  const elections = after.leaders - before.leaders
  const terms = after.raftTerm - before.raftTerm
  return {
    figure: `both cores busy for ${busyMs / 60_000} minutes`,
    measured: `${elections} elections of a coordinator, ${terms} of RAFT members; timers ${after.timers}`,
    wanted: '0',
    isMet: elections === 0 && terms === 0,
  }
}

interface View {
  readonly raft?: {
    readonly term?: string
    readonly heartbeatMs?: number
    readonly electionTimeoutMs?: number
  }
}

async function termsOf(ctl: Coordinators['ctl']) {
  const members = await ctl.items<View>(['cluster', 'members'])
  const events = await ctl.items<unknown>(['events', '--type', 'coordinator.leader_elected'])
  return {
    raftTerm: Math.max(...members.map(({ raft }) => Number(raft?.term ?? 0))),
    leaders: events.length,
    timers: members
      .map(({ raft }) => `${raft?.heartbeatMs}/${raft?.electionTimeoutMs} ms`)
      .join(', '),
  }
}
