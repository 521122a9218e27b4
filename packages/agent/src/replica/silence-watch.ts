/**
 * Stops what must not run on without the coordinator: replicas whose workload says `on_disconnect.stop_after_ms`.
 *
 * Silence is counted on the monotonic clock, from the coordinator's last word or, when there was none, from the start of
 * the agent: a restart of the agent allows a replica that time once more, and one that was stopped stays so. A machine
 * that sleeps counts only the time it is awake.
 */
import { every, formatDurationMs, type Clock } from '@cloudless/base'
import type { AgentLogger } from '../logger.ts'
import type { ReplicaMachine } from './replica-state.ts'

export interface SilenceWatchDeps {
  readonly clock: Clock
  readonly logger: AgentLogger
  /** Those that were assigned; what is run by hand is nobody else's. */
  readonly replicas: () => Iterable<ReplicaMachine>
  readonly suspend: (replicaId: string, message: string) => void
}

/** Replicas are stopped at most this much too late. */
const lookMs = 500

export class SilenceWatch {
  readonly #deps: SilenceWatchDeps
  readonly #stop: () => void
  #heardAtMs: number

  constructor(deps: SilenceWatchDeps) {
    this.#deps = deps
    this.#heardAtMs = deps.clock.monotonicMs()
    this.#stop = every(deps.clock, lookMs, () => this.#look())
  }

  /** The coordinator has said something. */
  heard(): void {
    this.#heardAtMs = this.#deps.clock.monotonicMs()
  }

  close(): void {
    this.#stop()
  }

  #look(): void {
    const { clock, logger, replicas, suspend } = this.#deps
    const silentMs = clock.monotonicMs() - this.#heardAtMs
    for (const { replicaId, afterMs } of dueToStop(replicas(), silentMs)) {
      const message = `stopped after ${formatDurationMs(afterMs)} without the coordinator`
      logger.warn({ replicaId, silentMs: Math.round(silentMs) }, `replica ${replicaId}: ${message}`)
      suspend(replicaId, message)
    }
  }
}

/** Which are to be stopped after so long without a word. Pure. */
export function dueToStop(
  replicas: Iterable<ReplicaMachine>,
  silentMs: number,
): { readonly replicaId: string; readonly afterMs: number }[] {
  return [...replicas].flatMap(({ assignment, suspended, stage }) => {
    const afterMs = Number(assignment.spec?.onDisconnect?.stopAfterMs ?? 0n)
    const hasEnded = stage === 'succeeded' || stage === 'failed'
    if (afterMs <= 0 || silentMs < afterMs || suspended || hasEnded) return []
    return [{ replicaId: assignment.replicaId, afterMs }]
  })
}
