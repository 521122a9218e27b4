/** Waiting on a condition with a deadline: what tests do instead of sleeping. */
import { CloudlessError, messageOf, sleep, systemClock } from '@cloudless/base'

export interface WaitOptions {
  /** Completes "gave up waiting for ...". */
  readonly what: string
  /** 10,000 when not given. */
  readonly deadlineMs?: number
  /** Between two looks; 50 when not given. */
  readonly pollMs?: number
  /** Said when the deadline passes: what was seen instead. */
  readonly describe?: () => string | Promise<string>
}

/**
 * Resolves with the first value of `look` that is neither false, null nor undefined. A look that rejects counts as "not
 * yet". Rejects with `deadline_exceeded`, saying what was waited for and why the last look was not it.
 */
export async function waitFor<T>(
  look: () => T | Promise<T>,
  options: WaitOptions,
): Promise<NonNullable<Exclude<T, false>>> {
  const deadlineMs = options.deadlineMs ?? 10_000
  const startedMs = systemClock.monotonicMs()
  let lastProblem = ''
  for (;;) {
    try {
      const value = await look()
      if (value !== false && value !== null && value !== undefined) {
        return value as NonNullable<Exclude<T, false>>
      }
      lastProblem = ''
    } catch (reason) {
      lastProblem = messageOf(reason)
    }
    if (systemClock.monotonicMs() - startedMs > deadlineMs) break
    await sleep(systemClock, options.pollMs ?? 50)
  }
  const seen = options.describe === undefined ? '' : `\n${await options.describe()}`
  throw new CloudlessError(
    'deadline_exceeded',
    `gave up waiting for ${options.what} after ${deadlineMs} ms` +
      `${lastProblem === '' ? '' : `: ${lastProblem}`}${seen}`,
  )
}
