/** A process that runs one seed after another for its parent. */
import { canaryOf } from './canaries.ts'
import { runSeed, type SeedResult } from './run-seed.ts'

/** What the parent asks for. */
export interface SeedOrder {
  readonly seed: number
  readonly canary: string | undefined
}

/** What a seed came to, in a form that passes between processes. */
export interface SeedReport extends Omit<SeedResult, 'done'> {
  readonly done: readonly (readonly [string, number])[]
}

const marker = 'CLOUDLESS_SIMULATION_WORKER'

export const workerEnvironment = { [marker]: '1' }

export function isWorker(): boolean {
  return process.env[marker] !== undefined
}

export function serveSeeds(): void {
  // Most errors in a simulated world are expected and only their codes are looked at. A replay has the stacks.
  Error.stackTraceLimit = 0
  let seed = 0
  const crashed = (reason: unknown): void => {
    const message = reason instanceof Error ? reason.message : String(reason)
    process.send!(crashReport(seed, message), () => process.exit(1))
  }
  process.on('uncaughtException', crashed)
  process.on('unhandledRejection', crashed)
  process.on('message', (order: SeedOrder) => {
    seed = order.seed
    const canary = order.canary === undefined ? undefined : canaryOf(order.canary)
    runSeed(seed, { canary }).then((result) => process.send!(reportOf(result)), crashed)
  })
}

export function reportOf(result: SeedResult): SeedReport {
  return { ...result, done: [...result.done] }
}

/** Of a seed whose process did not survive it. */
export function crashReport(seed: number, message: string): SeedReport {
  const violations = [{ checker: 'no crash', message, atMs: 0 }]
  return { seed, simulatedMs: 0, events: 0, done: [], violations, fingerprint: '' }
}
