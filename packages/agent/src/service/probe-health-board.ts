/** What the probes of each container last said; for heartbeats. */
import type { Clock } from '@cloudless/base'
import type { ProbedReport } from '../probes/replica-prober.ts'
import type { ProbeHealth } from './container-views.ts'

const untouched: ProbeHealth = {
  livenessFailures: 0,
  readinessFailures: 0,
  livenessHealthy: true,
  readinessHealthy: true,
  livenessAtMs: 0,
  readinessAtMs: 0,
}

export class ProbeHealthBoard {
  readonly #clock: Clock
  readonly #health = new Map<string, ProbeHealth>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  note(report: ProbedReport): void {
    const before = this.#health.get(report.containerId) ?? untouched
    const atMs = this.#clock.wallMs()
    const { passing, failuresInRow } = report
    const said =
      report.kind === 'readiness'
        ? { readinessHealthy: passing, readinessFailures: failuresInRow, readinessAtMs: atMs }
        : { livenessHealthy: passing, livenessFailures: failuresInRow, livenessAtMs: atMs }
    this.#health.set(report.containerId, { ...before, ...said })
  }

  forget(containerId: string): void {
    this.#health.delete(containerId)
  }

  entries(): [string, ProbeHealth][] {
    return [...this.#health]
  }
}
