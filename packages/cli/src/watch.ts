/** Streams that outlive connections: opened again after a break, with growing waits, until Ctrl-C. */
import { backoffDelayMs, sleep, type CloudlessError, type ErrorCode } from '@cloudless/base'
import type { CommandContext } from './command.ts'
import { explainFailure } from './connection/explain.ts'
import { sentence } from './sentence.ts'

const backoff = { delayMsMin: 100, delayMsMax: 5_000 }

export interface ReopeningOptions {
  /** Errors that pass, besides those that always do. */
  readonly alsoPasses?: readonly ErrorCode[]
  /** A stream that ends in order is over, instead of being opened again. */
  readonly endsInOrder?: boolean
}

/**
 * Yields what `open` streams; when the stream breaks for a reason that passes, opens it again. `open` is told how
 * often that has happened, and starts from wherever the reader stands. Ends when the signal is aborted.
 */
export async function* reopening<T>(
  context: CommandContext,
  signal: AbortSignal,
  open: (attempt: number) => AsyncIterable<T>,
  options: ReopeningOptions = {},
): AsyncGenerator<T> {
  let failures = 0
  for (let attempt = 0; !signal.aborted; attempt++) {
    try {
      for await (const item of open(attempt)) {
        failures = 0
        yield item
      }
      if (options.endsInOrder) return
    } catch (reason) {
      if (signal.aborted) return
      const error = explainFailure(reason)
      const expected = options.alsoPasses?.includes(error.code) ?? false
      if (!passes(error) && !expected) throw error
      if (failures === 0 && !expected) context.io.err(`${tryingAgain(error.message)}\n`)
    }
    if (signal.aborted) return
    try {
      await sleep(context.clock, backoffDelayMs(context.random, failures, backoff), signal)
    } catch {
      return // Interrupted while waiting: the watch is over.
    }
    failures = Math.min(failures + 1, 20)
  }
}

function passes(error: CloudlessError): boolean {
  return error.code === 'unavailable' || error.code === 'resource_exhausted'
}

/** What went wrong, and that we see to it ourselves. */
function tryingAgain(message: string): string {
  return `${sentence(message.replace(/ Try again\.$/, ''))} Trying again.`
}
