/** What a run tells the person who started it. */
import { faultKinds } from './chaos/faults.ts'
import { operationKinds } from './chaos/operations.ts'
import type { RunSummary } from './run-seeds.ts'
import type { SeedResult } from './run-seed.ts'
import type { SeedReport } from './seed-worker.ts'

const hourMs = 3_600_000

export function describeResult(result: SeedResult | SeedReport): string {
  const { seed, simulatedMs, events, violations, fingerprint } = result
  const lived = `seed ${seed}: ${(simulatedMs / hourMs).toFixed(2)} hours, ${events} events`
  if (violations.length === 0) return `${lived}, nothing found, fingerprint ${fingerprint}`
  const found = violations.map(
    ({ checker, message, atMs }) =>
      `  ${checker}, after ${(atMs / 1_000).toFixed(3)} s: ${message}`,
  )
  return [`${lived}: FAILED`, ...found, `  replay with: make simulate SEED=${seed}`].join('\n')
}

export function summarise(summary: RunSummary): string {
  const { simulatedMs, wallMs, workers, seeds, events, done, failed } = summary
  const hours = simulatedMs / hourMs
  const wallSeconds = wallMs / 1_000
  const timesOf = (kinds: readonly string[]): number =>
    kinds.reduce((sum, kind) => sum + (done.get(kind) ?? 0), 0)
  const lines = [
    `${hours.toFixed(1)} hours of cluster time in ${wallSeconds.toFixed(1)} s on ${workers} processes: ` +
      `${(hours / wallSeconds).toFixed(1)} hours a second`,
    `${seeds} seeds, ${events} events, ${timesOf(faultKinds)} faults, ` +
      `${timesOf(operationKinds)} things that users did`,
    ...[...done].toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([kind, n]) => `  ${kind}: ${n}`),
  ]
  if (failed.length === 0) return [...lines, 'nothing found'].join('\n')
  const seedsFailed = failed.map(({ seed }) => seed).toSorted((a, b) => a - b)
  return [
    ...lines,
    `FAILED: ${seedsFailed.length} of ${seeds} seeds: ${seedsFailed.join(' ')}`,
    ...seedsFailed.map((seed) => `  make simulate SEED=${seed}`),
  ].join('\n')
}
