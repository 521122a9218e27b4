/**
 * When to renew a certificate. Pure.
 *
 * At about two thirds of its life, spread so that nodes enrolled together do not come together. The wall clock may be
 * wrong or jump, so
 *   1. a plan is never longer than `recheckMsMax`, after which the caller asks again;
 *   2. the time held, measured on the monotonic clock, counts where the wall clock says less. A certificate is dated
 *      back by at most a fifth of its lifetime, so this alone renews in time;
 *   3. one just received is kept for a tenth of its life, however old it looks: no clock makes a renewal loop.
 */

export interface RenewalInput {
  /** Unix milliseconds, from the certificate. */
  readonly notBeforeMs: number
  readonly notAfterMs: number
  /** Unix milliseconds by the local clock, right or wrong. */
  readonly nowMs: number
  /** Monotonic milliseconds since the certificate was received or loaded. */
  readonly heldMs: number
  /** It was issued while this process waited for it, rather than loaded from disk. */
  readonly justIssued: boolean
  /** In [0, 1), drawn once per certificate. */
  readonly jitter: number
}

export type RenewalPlan =
  | { readonly kind: 'renew' }
  /** Ask again after this. */
  | { readonly kind: 'wait'; readonly delayMs: number }

export const recheckMsMax = 60_000

const lifeFractionMin = 0.6
const lifeFractionMax = 0.7
const keptFractionMin = 0.1

export function planRenewal(input: RenewalInput): RenewalPlan {
  const lifeMs = Math.max(0, input.notAfterMs - input.notBeforeMs)
  const fraction = lifeFractionMin + (lifeFractionMax - lifeFractionMin) * input.jitter
  const ageMs = Math.max(input.nowMs - input.notBeforeMs, input.heldMs)
  const keptLeftMs = input.justIssued ? lifeMs * keptFractionMin - input.heldMs : 0
  const leftMs = Math.round(Math.max(lifeMs * fraction - ageMs, keptLeftMs))
  if (leftMs <= 0) return { kind: 'renew' }
  return { kind: 'wait', delayMs: Math.min(leftMs, recheckMsMax) }
}
