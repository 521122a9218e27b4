/** A wait with a deadline for something that happens in the cluster. */
import { CloudlessError, formatDurationMs } from '@cloudless/base'
import type { CommandContext } from '../command.ts'
import { explainFailure } from '../connection/explain.ts'
import { exitCodes } from '../exit-code.ts'
import { startDeadline } from './deadline.ts'

/**
 * Resolves with the exit code once `happens` resolves with true; it resolves with false when its signal is aborted.
 * `otherwise` is what is said when the time is over.
 */
export async function waitUntil(
  context: CommandContext,
  timeoutMs: number,
  otherwise: string,
  happens: (signal: AbortSignal) => Promise<boolean>,
): Promise<number> {
  const startedMs = context.clock.monotonicMs()
  const deadline = startDeadline(context, timeoutMs)
  try {
    const done = await happens(deadline.signal).catch((reason: unknown) => {
      // Watching what is already gone finds nothing: that is what was waited for.
      if (explainFailure(reason).code === 'not_found') return true
      throw reason
    })
    if (context.signal.aborted) return exitCodes.interrupted
    if (!done) {
      throw new CloudlessError(
        'deadline_exceeded',
        `${otherwise} after ${formatDurationMs(timeoutMs)}; it goes on without us. ` +
          'Watch it, or allow more with --timeout.',
      )
    }
    context.io.err(`Done after ${formatDurationMs(context.clock.monotonicMs() - startedMs)}.\n`)
    return exitCodes.ok
  } finally {
    deadline.end()
  }
}
