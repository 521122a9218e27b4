/** A container's log as a stream: what is kept, and with follow what comes, until the container is gone. */
import { create } from '@bufbuild/protobuf'
import { LogEntrySchema, type LogEntry, type StreamLogsRequest } from '@cloudless/api'
import type { LogLine, Runtime } from '@cloudless/runtime'
import type { ReplicaActor } from '../replica/replica-actor.ts'
import type { Supervisor } from '../replica/supervisor.ts'

export interface LogDeps {
  readonly runtime: Pick<Runtime, 'logs'>
  readonly supervisor: Pick<Supervisor, 'until'>
}

export async function* streamLogs(
  deps: LogDeps,
  actor: ReplicaActor,
  request: StreamLogsRequest,
  signal: AbortSignal,
): AsyncIterable<LogEntry> {
  const { logPath } = actor.options
  const ended = new AbortController()
  const over = AbortSignal.any([signal, ended.signal])
  if (request.follow) {
    void deps.supervisor
      .until(() => hasEnded(actor), over)
      .then(() => ended.abort())
      .catch(() => undefined) // The caller went away first.
  }
  let lastUs = 0
  const options = {
    follow: request.follow,
    sinceMs: Number(request.sinceMs),
    signal: over,
    ...(request.tailLines === undefined ? {} : { tailLines: request.tailLines }),
  }
  for await (const line of untilAborted(deps.runtime.logs(logPath, options), over)) {
    lastUs = line.timestampUs
    yield entryOf(line)
  }
  if (!ended.signal.aborted || signal.aborted) return
  // What was written between the last line and the end.
  const rest = { follow: false, sinceMs: Math.floor(lastUs / 1_000), signal }
  for await (const line of deps.runtime.logs(logPath, rest)) {
    if (line.timestampUs > lastUs) yield entryOf(line)
  }
}

function hasEnded(actor: ReplicaActor): boolean {
  return ['succeeded', 'failed', 'removed'].includes(actor.state.stage)
}

/** An abort is the end here, not a fault. */
async function* untilAborted(
  lines: AsyncIterable<LogLine>,
  signal: AbortSignal,
): AsyncIterable<LogLine> {
  try {
    yield* lines
  } catch (reason) {
    if (!signal.aborted) throw reason
  }
}

function entryOf(line: LogLine): LogEntry {
  return create(LogEntrySchema, {
    timestampUs: BigInt(Math.round(line.timestampUs)),
    stream: line.stream,
    line: line.line,
    partial: line.partial,
  })
}
