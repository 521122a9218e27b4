/** A signal for one wait: aborted by Ctrl-C or by the wait's own time running out. */
import type { CommandContext } from '../command.ts'

export interface Deadline {
  readonly signal: AbortSignal
  /** Whether it was time, and not Ctrl-C, that ended it. */
  readonly expired: boolean
  /** Releases the timer; also aborts what still uses the signal. */
  end(): void
}

export function startDeadline(context: CommandContext, timeoutMs: number): Deadline {
  const controller = new AbortController()
  let expired = false
  const cancel = context.clock.after(timeoutMs, () => {
    expired = true
    controller.abort(new Error('the time to wait is over'))
  })
  const onInterrupt = (): void => controller.abort(context.signal.reason)
  context.signal.addEventListener('abort', onInterrupt, { once: true })
  return {
    signal: controller.signal,
    get expired() {
      return expired
    },
    end() {
      cancel()
      context.signal.removeEventListener('abort', onInterrupt)
      controller.abort(new Error('the wait is over'))
    },
  }
}
