/** Whether and when a replica whose run has ended is started again. Pure. */
import { RestartPolicyKind, type RestartPolicy } from '@cloudless/api'
import { formatBytes, formatDurationMs } from '@cloudless/base'
import type { RunEnd } from './replica-state.ts'

export const restartDelayMsDefault = 1_000
export const restartDelayMsMax = 300_000
/** A run that lasted this long makes the next crash count as the first. */
export const stableRunMs = 600_000
/** Restarts a liveness probe may cause within the window. */
export const livenessRestartsMax = 5
export const livenessWindowMs = 300_000
/** Image errors that may pass by themselves are tried at least this often. */
const unavailableDelayMsMax = 30_000

export type RestartDecision =
  | { readonly kind: 'restart'; readonly delayMs: number }
  | { readonly kind: 'succeeded' }
  | { readonly kind: 'failed'; readonly reason: string; readonly message: string }

/** `crashesInRow` counts the end being decided on. */
export function decideRestart(
  policy: RestartPolicy | undefined,
  end: RunEnd,
  crashesInRow: number,
): RestartDecision {
  const kind = policy?.policy ?? RestartPolicyKind.UNSPECIFIED
  const succeeded = end.exitCode === 0
  if (succeeded && restartsOnlyFailures(kind)) return { kind: 'succeeded' }
  if (kind === RestartPolicyKind.NEVER) {
    return {
      kind: 'failed',
      reason: end.reason,
      message: `${end.message}; its restart policy is NEVER`,
    }
  }
  const retriesMax = policy?.maxRetries ?? 0
  if (retriesMax > 0 && crashesInRow > retriesMax) {
    return {
      kind: 'failed',
      reason: end.reason,
      message: `${end.message}; given up after ${retriesMax} restarts (max_retries)`,
    }
  }
  const delayMsMin = Number(policy?.backoffMs ?? 0n) || restartDelayMsDefault
  return { kind: 'restart', delayMs: exponentialMs(delayMsMin, crashesInRow, restartDelayMsMax) }
}

/** The wait after the n-th failed pull in a row, milliseconds. */
export function pullRetryDelayMs(code: string, failuresInRow: number): number {
  if (code === 'invalid_argument') return restartDelayMsMax
  const delayMsMax = code === 'unavailable' ? unavailableDelayMsMax : restartDelayMsMax
  return exponentialMs(restartDelayMsDefault, failuresInRow, delayMsMax)
}

/** The wait after the n-th failed stop, removal, or start that the runtime's absence prevented, milliseconds. */
export function cleanupRetryDelayMs(failuresInRow: number): number {
  return exponentialMs(500, failuresInRow, 15_000)
}

/** What a crash loop says: exit code, reason, how often, and when the next try is. */
export function crashLoopMessage(
  end: RunEnd,
  crashesInRow: number,
  delayMs: number,
  wallMs: number,
): string {
  const nextTry = new Date(wallMs + delayMs).toISOString().replace(/\.\d+Z$/, 'Z')
  const times = crashesInRow === 1 ? 'once' : `${crashesInRow} times in a row`
  return `${end.message} (${times}); next start in ${formatDurationMs(delayMs)}, at ${nextTry}`
}

/** Why a process ended, from what the kernel says. `memoryBytesMax` is the container's limit; 0: none. */
export function describeExit(
  exitCode: number,
  oomKilled: boolean,
  memoryBytesMax: number,
): { readonly reason: string; readonly message: string } {
  if (oomKilled) {
    const why =
      memoryBytesMax > 0
        ? `for using more memory than its limit of ${formatBytes(memoryBytesMax)}`
        : 'because the machine ran out of memory; the container has no limit of its own'
    return { reason: 'OOMKilled', message: `killed by the kernel ${why}, exit code ${exitCode}` }
  }
  if (exitCode === 0) return { reason: 'Completed', message: 'ended with exit code 0' }
  const signal = exitCode > 128 && exitCode < 160 ? `, signal ${exitCode - 128}` : ''
  return { reason: 'Error', message: `ended with exit code ${exitCode}${signal}` }
}

function restartsOnlyFailures(kind: RestartPolicyKind): boolean {
  return kind === RestartPolicyKind.NEVER || kind === RestartPolicyKind.ON_FAILURE
}

function exponentialMs(delayMsMin: number, attempt: number, delayMsMax: number): number {
  return Math.min(delayMsMax, delayMsMin * 2 ** Math.min(40, Math.max(0, attempt - 1)))
}
