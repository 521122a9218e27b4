/** How long a person waits for the simplest command: `cloudlessctl node list`, the whole process. */
import { spawnSync } from 'node:child_process'
import { systemClock } from '@cloudless/base'
import { checkout, cleanEnvironment, ctlProgram, startCluster } from '@cloudless/test/testkit'
import { join } from 'node:path'
import { percentile, printTable, summarizeMs } from './support/table.ts'

const runs = Number(process.env['RUNS'] ?? 20)

const cluster = await startCluster({
  prefix: 'bcli',
  subnet: '10.81.4',
  withImage: false,
  agents: ['a', 'b', 'c'].map((name) => ({ name, zone: name, cpuCores: 2, memoryMb: 2048 })),
})
try {
  const env = cleanEnvironment({ CLOUDLESS_CONFIG: cluster.configFile })
  const node = join(checkout, 'node_modules', '.bin', 'node')
  time(ctlProgram, ['node', 'list'], env) // Fills the compile cache.
  const list: number[] = []
  const bare: number[] = []
  for (let run = 0; run < runs; run++) {
    list.push(time(ctlProgram, ['node', 'list'], env))
    bare.push(time(node, ['-e', ''], env))
  }
  const ratio = percentile(list, 0.5) / percentile(bare, 0.5)
  printTable('The CLI', [
    {
      figure: 'cloudlessctl node list (3 nodes), whole process',
      measured: summarizeMs(list),
      wanted: 'p50 <= 250 ms',
      isMet: percentile(list, 0.5) <= 250,
    },
    {
      figure: 'node -e "" in the same run',
      measured: `${summarizeMs(bare)}; node list takes ${ratio.toFixed(1)} x as long`,
      wanted: '(for scale)',
      isMet: true,
    },
  ])
} finally {
  await cluster.stop()
}

function time(program: string, args: readonly string[], env: NodeJS.ProcessEnv): number {
  const startedMs = systemClock.monotonicMs()
  const { status, stderr } = spawnSync(program, [...args], { env, encoding: 'utf8' })
  const tookMs = systemClock.monotonicMs() - startedMs
  if (status !== 0) throw new Error(`${program} ended with ${status}: ${stderr}`)
  return tookMs
}
