/** What it costs to have it running: memory and processor time of a coordinator and three agents with nothing to do. */
import { readFileSync } from 'node:fs'
import { sleep, systemClock } from '@cloudless/base'
import { applyWorkload, startCluster, waitForReady } from '@cloudless/test/testkit'
import { percentile, printTable } from './support/table.ts'

const settleMs = 20_000
const measureMs = Number(process.env['SECONDS_MEASURED'] ?? 60) * 1_000
const ticksPerSecond = 100
const samples = 12

const cluster = await startCluster({
  prefix: 'bidle',
  subnet: '10.81.3',
  agents: ['a', 'b', 'c'].map((name) => ({ name, zone: name, cpuCores: 2, memoryMb: 2048 })),
})
try {
  await applyWorkload(cluster, { name: 'web', replicas: 3 })
  await waitForReady(cluster, 'web', 3)
  await sleep(systemClock, settleMs)
  const pids = {
    coordinator: cluster.coordinator.process()!.pid,
    ...Object.fromEntries(
      ['a', 'b', 'c'].map((name) => [name, cluster.agent(name).process()!.pid]),
    ),
  }
  const before = Object.entries(pids).map(([name, pid]) => [name, cpuTicks(pid)] as const)
  const memory = new Map<string, number[]>(Object.keys(pids).map((name) => [name, []]))
  for (let sample = 0; sample < samples; sample++) {
    await sleep(systemClock, measureMs / samples)
    for (const [name, pid] of Object.entries(pids)) memory.get(name)!.push(residentMb(pid))
  }
  const cpu = new Map(
    before.map(([name, ticks]) => {
      const used = (cpuTicks(pids[name as keyof typeof pids]) - ticks) / ticksPerSecond
      return [name, (used / (measureMs / 1_000)) * 100]
    }),
  )
  const rows = [...cpu].map(([name, percent]) => {
    const isCoordinator = name === 'coordinator'
    const mb = percentile(memory.get(name)!, 0.5)
    const mbMax = isCoordinator ? 160 : 110
    return {
      figure: isCoordinator ? 'coordinator with 3 agents' : `agent ${name}, containerd apart`,
      measured: `${mb.toFixed(0)} MB resident, ${percent.toFixed(2)} % of a core`,
      wanted: `<= ${mbMax} MB, <= 1 %` + (isCoordinator ? '' : ' (Swarm here: 127 MiB, 2.3-5.1 %)'),
      isMet: mb <= mbMax && percent <= 1,
    }
  })
  printTable(`Idle: 3 replicas probed every second, over ${measureMs / 1_000} s`, rows)
} finally {
  await cluster.stop()
}

/** User and system time of the process, in ticks. */
function cpuTicks(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]!.split(' ')
  return Number(fields[11]) + Number(fields[12])
}

function residentMb(pid: number): number {
  const [, kilobytes] = /VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? []
  return (Number(kilobytes) * 1024) / 1e6
}
