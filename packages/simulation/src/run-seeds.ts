/** Runs seeds on several processes until the cluster has lived for long enough. */
import { fork, type ChildProcess } from 'node:child_process'
import { systemClock } from '@cloudless/base'
import { crashReport, workerEnvironment, type SeedOrder, type SeedReport } from './seed-worker.ts'

export interface RunOptions {
  /** Of the cluster's time. */
  readonly hours: number
  /** Of real time: no seed is begun after it. */
  readonly minutesMax: number
  readonly firstSeed: number
  readonly workers: number
  /** The name of a bug to be found. */
  readonly canary?: string | undefined
  readonly onFailed: (report: SeedReport) => void
}

export interface RunSummary {
  readonly simulatedMs: number
  readonly wallMs: number
  readonly workers: number
  readonly seeds: number
  readonly events: number
  readonly done: ReadonlyMap<string, number>
  readonly failed: readonly SeedReport[]
}

const program = new URL('main.ts', import.meta.url)
/** A run that fails everywhere need not go on to the end. */
const failuresMax = 20

export async function runSeeds(options: RunOptions): Promise<RunSummary> {
  const startMs = systemClock.monotonicMs()
  const reports: SeedReport[] = []
  let simulatedMs = 0
  let nextSeed = options.firstSeed
  const wallMs = (): number => systemClock.monotonicMs() - startMs
  const failed = (): SeedReport[] => reports.filter(({ violations }) => violations.length > 0)
  const goesOn = (): boolean =>
    simulatedMs < options.hours * 3_600_000 &&
    wallMs() < options.minutesMax * 60_000 &&
    failed().length < failuresMax

  const work = async (): Promise<void> => {
    let worker: ChildProcess | undefined
    while (goesOn()) {
      worker ??= fork(program, { env: { ...process.env, ...workerEnvironment } })
      const report = await runOne(worker, { seed: nextSeed++, canary: options.canary })
      if (worker.exitCode !== null || report.fingerprint === '') worker = undefined
      reports.push(report)
      simulatedMs += report.simulatedMs
      if (report.violations.length > 0) options.onFailed(report)
    }
    worker?.disconnect()
  }
  await Promise.all(Array.from({ length: options.workers }, work))
  return {
    ...{ simulatedMs, wallMs: wallMs(), workers: options.workers, seeds: reports.length },
    events: reports.reduce((sum, { events }) => sum + events, 0),
    done: sumOf(reports),
    failed: failed(),
  }
}

function runOne(worker: ChildProcess, order: SeedOrder): Promise<SeedReport> {
  return new Promise((resolve) => {
    const onExit = (code: number | null): void =>
      resolve(crashReport(order.seed, `its process ended with exit code ${code}`))
    worker.once('exit', onExit)
    worker.once('message', (report) => {
      worker.off('exit', onExit)
      resolve(report as SeedReport)
    })
    worker.send(order)
  })
}

function sumOf(reports: readonly SeedReport[]): Map<string, number> {
  const sum = new Map<string, number>()
  for (const { done } of reports) {
    for (const [kind, times] of done) sum.set(kind, (sum.get(kind) ?? 0) + times)
  }
  return sum
}
