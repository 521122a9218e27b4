/** One run: clients work while coordinators fail as drawn; then all is healed, and the whole history is judged. */
import { seededRandom, systemClock } from '@cloudless/base'
import { drawFaults, type CoordinatorFault } from './coordinator-faults.ts'
import type { Coordinators } from './coordinators.ts'
import { findViolations, type Violation } from './history/find-violations.ts'
import type { HistoryCounts } from './history/history.ts'
import { startRecordedClients } from './history/recorded-clients.ts'
import type { Strikes } from './strike-coordinators.ts'
import { findSharedTerms } from './terms.ts'

export interface ChaosReport {
  readonly seed: number
  readonly faults: readonly string[]
  readonly counts: HistoryCounts
  readonly creations: number
  readonly silenceMs: number
  /** From the end of the healing until all were well. */
  readonly wellAfterMs: number
  readonly violations: readonly Violation[]
  /** Coordinators that ended by themselves. */
  readonly ended: readonly string[]
}

export interface ChaosOptions {
  readonly seed: number
  /** Drawn from the seed when not given. */
  readonly faults?: readonly CoordinatorFault[]
  readonly wellMsMax?: number
}

const wellMsMaxDefault = 30_000

export async function runChaos(
  cluster: Coordinators,
  strikes: Strikes,
  { seed, faults = drawFaults(seededRandom(seed)), wellMsMax = wellMsMaxDefault }: ChaosOptions,
): Promise<ChaosReport> {
  const endedBefore = strikes.ended.length
  const clients = await startRecordedClients(cluster.clients, { name: `s${seed}`, seed })
  let said: readonly string[]
  let wellAfterMs: number
  try {
    said = await strikes.run(faults)
    await strikes.heal()
    const healedMs = systemClock.monotonicMs()
    await strikes.waitUntilWell(wellMsMax)
    wellAfterMs = systemClock.monotonicMs() - healedMs
  } catch (reason) {
    await clients.stop()
    throw reason
  }
  const recorded = await clients.finish()
  const shared = findSharedTerms(cluster.all).shared
  return {
    seed,
    faults: said,
    counts: recorded.registers.counts,
    creations: recorded.creations.length,
    silenceMs: recorded.silenceMs,
    wellAfterMs,
    violations: [
      ...findViolations(recorded),
      ...shared.map((what): Violation => ({ kind: 'two leaders', what })),
    ],
    ended: strikes.ended.slice(endedBefore),
  }
}

/** One line. */
export function sayChaos(report: ChaosReport): string {
  const { seed, faults, counts, creations, silenceMs, wellAfterMs, violations, ended } = report
  const kinds = violations.map(({ kind }) => kind)
  return [
    `seed ${seed}`,
    faults.join('; '),
    `${counts.done} done, ${counts.refused} failed, ${counts.unknown} unknown, ${creations} created`,
    `${(silenceMs / 1_000).toFixed(1)} s without a write`,
    `well after ${(wellAfterMs / 1_000).toFixed(1)} s`,
    ...ended.map((one) => `ended by itself: ${one}`),
    kinds.length === 0 ? 'ok' : `VIOLATED: ${[...new Set(kinds)].join(', ')}`,
  ].join(' | ')
}
