/** Tests wait on conditions with a deadline, never for a time. */
import { messageOf, sleep, systemClock } from '@cloudless/base'

export async function waitFor<T>(
  what: string,
  condition: () => T | undefined | false | Promise<T | undefined | false>,
  deadlineMs = 5_000,
): Promise<T> {
  const endMs = systemClock.monotonicMs() + deadlineMs
  let last = ''
  while (systemClock.monotonicMs() < endMs) {
    try {
      const value = await condition()
      if (value !== undefined && value !== false) return value
    } catch (reason) {
      last = `: ${messageOf(reason)}`
    }
    await sleep(systemClock, 2)
  }
  throw new Error(`not within ${deadlineMs} ms: ${what}${last}`)
}
