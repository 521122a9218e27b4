/** The log of one container as whole lines, picked up where it broke off. */
import type { LogEntry } from '@cloudless/api'
import type { CommandContext } from '../command.ts'
import { reopening } from '../watch.ts'

export interface LogLine {
  /** Unix microseconds of its first part. */
  readonly timestampUs: bigint
  readonly stream: string
  readonly text: string
}

export interface LogRequest {
  readonly containerId: string
  readonly nodeId: string
  /** Undefined: everything that is kept. */
  readonly tailLines: number | undefined
  /** Unix milliseconds; 0: no start. */
  readonly sinceMs: number
}

/** Parts of one line are put together up to this; a longer line is shown in pieces. */
const lineLengthMax = 1024 * 1024

/** What is there now, once. */
export async function* readLog(
  context: CommandContext,
  request: LogRequest,
): AsyncGenerator<LogLine> {
  const { agent } = await context.connect()
  const options = { signal: context.signal, timeoutMs: 0 }
  yield* joinParts(agent.streamLogs({ ...wireForm(request), follow: false }, options))
}

/**
 * What is there and what comes, until the signal is aborted; with `endsInOrder` until the container is gone. After a
 * break it goes on with the first entry not yet seen.
 */
export async function* followLog(
  context: CommandContext,
  request: LogRequest,
  signal: AbortSignal,
  endsInOrder: boolean,
): AsyncGenerator<LogLine> {
  const { agent } = await context.connect()
  const seen = new Position()
  const entries = reopening(
    context,
    signal,
    () => {
      const resumed = seen.lastUs > 0n
      const form = resumed
        ? { ...wireForm({ ...request, tailLines: undefined }), sinceMs: seen.lastUs / 1_000n }
        : wireForm(request)
      seen.reopened()
      return agent.streamLogs({ ...form, follow: true }, { signal, timeoutMs: 0 })
    },
    // A replica that has just been placed has no container yet.
    { alsoPasses: endsInOrder ? [] : ['not_found', 'failed_precondition'], endsInOrder },
  )
  yield* joinParts(seen.onlyNew(entries))
}

function wireForm(request: LogRequest): {
  containerId: string
  nodeId: string
  sinceMs: bigint
  tailLines?: number
} {
  const { containerId, nodeId, tailLines, sinceMs } = request
  const form = { containerId, nodeId, sinceMs: BigInt(Math.max(0, Math.round(sinceMs))) }
  return tailLines === undefined ? form : { ...form, tailLines }
}

/** Remembers what has been read: entries may share a microsecond, so it counts those of the last one. */
class Position {
  lastUs = 0n
  #countAtLast = 0
  #skipAtLast = 0

  reopened(): void {
    this.#skipAtLast = this.#countAtLast
  }

  async *onlyNew(entries: AsyncIterable<LogEntry>): AsyncGenerator<LogEntry> {
    for await (const entry of entries) {
      if (entry.timestampUs < this.lastUs) continue
      if (entry.timestampUs === this.lastUs && this.#skipAtLast > 0) {
        this.#skipAtLast--
        continue
      }
      if (entry.timestampUs === this.lastUs) this.#countAtLast++
      else {
        this.lastUs = entry.timestampUs
        this.#countAtLast = 1
        this.#skipAtLast = 0
      }
      yield entry
    }
  }
}

async function* joinParts(entries: AsyncIterable<LogEntry>): AsyncGenerator<LogLine> {
  const open = new Map<string, LogLine>()
  for await (const { stream, line, partial, timestampUs } of entries) {
    const before = open.get(stream)
    const whole = {
      timestampUs: before?.timestampUs ?? timestampUs,
      stream,
      text: (before?.text ?? '') + line,
    }
    if (partial && whole.text.length < lineLengthMax) open.set(stream, whole)
    else {
      open.delete(stream)
      yield whole
    }
  }
  yield* open.values()
}
