/**
 * Time as a dependency.
 *
 * Only this file may touch Date.now, performance.now or setTimeout (the tidy test enforces it). Everything else is
 * handed a Clock, which is what lets the simulator run hours of cluster time in a second and replay them from a seed.
 */

export interface Clock {
  /** Milliseconds since an arbitrary origin; never goes backwards. For durations. */
  monotonicMs(): number

  /** Unix milliseconds; may jump either way. For people, logs and certificates, never durations. */
  wallMs(): number

  /** Calls `fire` once after `delayMs`. The returned cancel is safe to call twice. */
  after(delayMs: number, fire: () => void): () => void
}

/** setTimeout fires at once when asked for more than this; longer waits are made of several. */
const timerMsMax = 2_147_483_647

export const systemClock: Clock = {
  monotonicMs: () => performance.now(),
  wallMs: () => Date.now(),
  after(delayMs, fire) {
    let timer: NodeJS.Timeout
    const arm = (leftMs: number): void => {
      const stepMs = Math.min(leftMs, timerMsMax)
      timer = setTimeout(() => (leftMs > stepMs ? arm(leftMs - stepMs) : fire()), stepMs)
    }
    arm(Math.max(0, delayMs))
    return () => clearTimeout(timer)
  },
}

/** Resolves after `delayMs`; rejects with the signal's reason when it is aborted first. */
export function sleep(clock: Clock, delayMs: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(signal.reason)
    const cancel = clock.after(delayMs, () => {
      signal?.removeEventListener('abort', onAbort)
      resolve()
    })
    function onAbort(): void {
      cancel()
      reject(signal!.reason)
    }
    signal?.addEventListener('abort', onAbort, { once: true })
  })
}

/** The result, or what `overdue` gives as the error when that takes longer; a result that is late is left behind. */
export async function within<T>(
  clock: Clock,
  delayMs: number,
  result: Promise<T>,
  overdue: () => Error,
): Promise<T> {
  const late = Promise.withResolvers<never>()
  const cancel = clock.after(delayMs, () => late.reject(overdue()))
  try {
    return await Promise.race([result, late.promise])
  } finally {
    cancel()
  }
}

/** Calls `act` every `periodMs`, the first time after one period, until the returned stop is called. */
export function every(clock: Clock, periodMs: number, act: () => void): () => void {
  let cancel = clock.after(periodMs, tick)
  let stopped = false
  function tick(): void {
    act()
    if (!stopped) cancel = clock.after(periodMs, tick)
  }
  return () => {
    stopped = true
    cancel()
  }
}
