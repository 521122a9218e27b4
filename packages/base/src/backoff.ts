/** Waits between retries: exponential, with full jitter on the upper half so that clients do not come in step. */
import { between, type Random } from './random.ts'

export interface BackoffOptions {
  /** The first wait. */
  readonly delayMsMin: number
  readonly delayMsMax: number
  /** Growth per attempt; 2 when not given. */
  readonly factor?: number
}

/** The wait before attempt `attempt + 1`; `attempt` counts from 0. Between half of the exponential and all of it. */
export function backoffDelayMs(random: Random, attempt: number, options: BackoffOptions): number {
  const exponential = options.delayMsMin * (options.factor ?? 2) ** Math.min(attempt, 60)
  const delayMs = Math.min(exponential, options.delayMsMax)
  return between(random, delayMs / 2, delayMs)
}
