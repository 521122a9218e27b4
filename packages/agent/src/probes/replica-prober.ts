/**
 * Probes one running replica from `start` until it is closed: first startup, then liveness and readiness side by side.
 * Timers and deadlines come from the clock; at most one probe of each kind is under way.
 */
import type { HealthCheck, WorkloadSpec } from '@cloudless/api'
import type { Clock } from '@cloudless/base'
import type { Runtime } from '@cloudless/runtime'
import { runCheck, type ProbeOutcome, type ProbeTarget } from './probe-checks.ts'
import {
  newProbe,
  probeSettings,
  stepProbe,
  type ProbeKind,
  type ProbeSettings,
  type ProbeState,
} from './probe-state.ts'

export interface ProberDeps {
  readonly clock: Clock
  readonly runtime: Pick<Runtime, 'exec'>
  readonly observer: ProbeObserver
}

/** Told of every probe; for metrics and for GetContainerStatus. */
export interface ProbeObserver {
  probed(probe: ProbedReport): void
}

export interface ProbedReport {
  readonly containerId: string
  readonly kind: ProbeKind
  readonly passed: boolean
  readonly passing: boolean
  readonly failuresInRow: number
  readonly durationMs: number
}

export interface ProberListener {
  /** After every probe that decides it; `message` says why not, empty when ready. */
  onReadiness(ready: boolean, message: string): void
  onFailure(probe: 'startup' | 'liveness', message: string): void
  /** The liveness probe passes again. */
  onRecovery(): void
}

export interface ProberOptions {
  readonly target: ProbeTarget
  readonly spec: WorkloadSpec
  /** Monotonic milliseconds of the container's start. */
  readonly startedMonotonicMs: number
  /** It was ready before the agent restarted: it stays so until a probe says otherwise. */
  readonly readyBefore: boolean
}

interface Probe {
  readonly kind: ProbeKind
  readonly check: HealthCheck
  readonly settings: ProbeSettings
  state: ProbeState
}

export class ReplicaProber {
  readonly #deps: ProberDeps
  readonly #options: ProberOptions
  readonly #listener: ProberListener
  readonly #cancels = new Map<ProbeKind, () => void>()
  #closed = false

  constructor(deps: ProberDeps, options: ProberOptions, listener: ProberListener) {
    this.#deps = deps
    this.#options = options
    this.#listener = listener
  }

  /** The listener may be called from here on, before this returns too. */
  start(): void {
    const { spec, readyBefore } = this.#options
    if (hasCheck(spec.startupProbe) && !readyBefore) this.#begin('startup', spec.startupProbe)
    else this.#beginOthers()
  }

  /** No listener is called after it. */
  close(): void {
    this.#closed = true
    for (const cancel of this.#cancels.values()) cancel()
    this.#cancels.clear()
  }

  #beginOthers(): void {
    const { spec } = this.#options
    if (hasCheck(spec.livenessProbe)) this.#begin('liveness', spec.livenessProbe)
    if (hasCheck(spec.readinessProbe)) this.#begin('readiness', spec.readinessProbe)
    else this.#listener.onReadiness(true, '')
  }

  #begin(kind: ProbeKind, check: HealthCheck): void {
    const settings = probeSettings(kind, check)
    const state = newProbe(kind, kind === 'readiness' && this.#options.readyBefore)
    const sinceStartMs = this.#deps.clock.monotonicMs() - this.#options.startedMonotonicMs
    const delayMs = Math.max(0, settings.initialDelayMs - sinceStartMs)
    this.#schedule({ kind, check, settings, state }, delayMs)
  }

  #schedule(probe: Probe, delayMs: number): void {
    const fire = (): void => void this.#probe(probe)
    this.#cancels.set(probe.kind, this.#deps.clock.after(delayMs, fire))
  }

  async #probe(probe: Probe): Promise<void> {
    const { clock, runtime, observer } = this.#deps
    const startMs = clock.monotonicMs()
    const outcome = await this.#attempt(probe, runtime)
    if (this.#closed) return
    const nowMs = clock.monotonicMs()
    const before = probe.state
    const step = stepProbe(probe.settings, before, outcome.passed, nowMs)
    probe.state = step.state
    observer.probed({
      containerId: this.#options.target.containerId,
      kind: probe.kind,
      passed: outcome.passed,
      passing: step.state.passing,
      failuresInRow: step.state.failuresInRow,
      durationMs: nowMs - startMs,
    })
    const goesOn = this.#conclude(probe.kind, before, step.state, step.exhausted, outcome)
    if (goesOn && !this.#closed) this.#schedule(probe, step.delayMs)
  }

  async #attempt(probe: Probe, runtime: Pick<Runtime, 'exec'>): Promise<ProbeOutcome> {
    const deadline = new AbortController()
    const cancel = this.#deps.clock.after(probe.settings.timeoutMs, () => deadline.abort())
    this.#cancels.set(probe.kind, () => {
      cancel()
      deadline.abort()
    })
    try {
      return await runCheck(runtime, this.#options.target, probe.check.check, deadline.signal)
    } finally {
      cancel()
    }
  }

  /** Tells the listener what changed; false when this probe has done its work. */
  #conclude(
    kind: ProbeKind,
    before: ProbeState,
    after: ProbeState,
    exhausted: boolean,
    outcome: ProbeOutcome,
  ): boolean {
    if (kind === 'readiness') {
      this.#listener.onReadiness(after.passing, after.passing ? '' : notReady(kind, outcome))
      return true
    }
    if (kind === 'startup' && !after.passing) {
      this.#listener.onReadiness(false, notReady(kind, outcome))
    }
    if (kind === 'liveness' && outcome.passed && before.failuresInRow > 0) {
      this.#listener.onRecovery()
    }
    if (exhausted) {
      const times = `${after.failuresInRow} times in a row`
      this.#listener.onFailure(kind, `${outcome.message} (${times})`)
    }
    if (kind === 'startup' && after.passing) {
      this.#cancels.delete('startup')
      this.#beginOthers()
      return false
    }
    return true
  }
}

/** Without a count, which would make every failure another message. */
function notReady(kind: 'startup' | 'readiness', outcome: ProbeOutcome): string {
  if (!outcome.passed) return `its ${kind} probe fails: ${outcome.message}`
  return `its ${kind} probe has not passed often enough yet`
}

function hasCheck(check: HealthCheck | undefined): check is HealthCheck {
  return check?.check.case !== undefined
}
