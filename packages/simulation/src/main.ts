/**
 * `make simulate`: one seed with its trace, or seeds until the cluster has lived for so many hours, on all cores.
 *
 * Exits with 1 when a checker found something, and says how to see it again.
 */
import { parseArgs } from 'node:util'
import { availableParallelism } from 'node:os'
import { canaryOf } from './canaries.ts'
import { runSeed } from './run-seed.ts'
import { describeResult, summarise } from './run-report.ts'
import { runSeeds } from './run-seeds.ts'
import { isWorker, serveSeeds } from './seed-worker.ts'

const hoursDefault = 10
const minutesMax = 24 * 60

const { values } = parseArgs({
  options: {
    seed: { type: 'string' },
    hours: { type: 'string' },
    minutes: { type: 'string' },
    from: { type: 'string' },
    workers: { type: 'string' },
    quiet: { type: 'boolean' },
    canary: { type: 'string' },
  },
})

if (isWorker()) serveSeeds()
else if (values.seed !== undefined) await replay(Number(values.seed), values.quiet ?? false)
else await simulate()

async function replay(seed: number, isQuiet: boolean): Promise<void> {
  const write = (line: string): void => void process.stdout.write(`${line}\n`)
  const canary = values.canary === undefined ? undefined : canaryOf(values.canary)
  const result = await runSeed(seed, isQuiet ? { canary } : { canary, write })
  write(describeResult(result))
  process.exitCode = result.violations.length > 0 ? 1 : 0
}

async function simulate(): Promise<void> {
  const summary = await runSeeds({
    hours: Number(values.hours ?? hoursDefault),
    minutesMax: Number(values.minutes ?? minutesMax),
    firstSeed: Number(values.from ?? 1),
    workers: Number(values.workers ?? availableParallelism()),
    canary: values.canary,
    onFailed: (result) => process.stdout.write(`${describeResult(result)}\n`),
  })
  process.stdout.write(`${summarise(summary)}\n`)
  process.exitCode = summary.failed.length > 0 ? 1 : 0
}
