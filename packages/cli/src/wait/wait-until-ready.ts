/** `--wait` for workloads: until every replica of what was asked for is ready. */
import { WatchKind, type Workload } from '@cloudless/api'
import { formatDurationMs } from '@cloudless/base'
import type { CommandContext } from '../command.ts'
import { exitCodes } from '../exit-code.ts'
import { workloadTitle } from '../resources/workload.ts'
import { reopening } from '../watch.ts'
import { startDeadline, type Deadline } from './deadline.ts'
import { Progress } from './progress.ts'
import { readinessOf, type Readiness } from './readiness.ts'

type Outcome = Readiness | { readonly kind: 'gone' | 'late'; readonly summary: string }

/** Resolves with the exit code; says on stderr what it waits for, and why in the end it did not come. */
export async function waitUntilReady(
  context: CommandContext,
  workloads: readonly Workload[],
  timeoutMs: number,
): Promise<number> {
  const startedMs = context.clock.monotonicMs()
  const deadline = startDeadline(context, timeoutMs)
  const progress = new Progress(context.io)
  try {
    const outcomes = await Promise.all(
      workloads.map((workload) => waitForOne(context, deadline, progress, workload)),
    )
    const tookMs = context.clock.monotonicMs() - startedMs
    return report(context, outcomes, tookMs, timeoutMs)
  } finally {
    deadline.end()
  }
}

async function waitForOne(
  context: CommandContext,
  deadline: Deadline,
  progress: Progress,
  { id, name, namespace, revision }: Workload,
): Promise<Outcome> {
  const { coordinator } = await context.connect()
  const { signal } = deadline
  let latest: Readiness = {
    kind: 'waiting',
    summary: `workload ${name}: waiting`,
    replicaLines: [],
  }
  const changes = reopening(context, signal, () =>
    coordinator.watchWorkloads({ workloadId: id || name, namespace }, { signal, timeoutMs: 0 }),
  )
  for await (const { kind, workload } of changes) {
    if (workload === undefined) continue
    if (kind === WatchKind.DELETED) {
      return { kind: 'gone', summary: `${workloadTitle(workload)} was deleted meanwhile` }
    }
    latest = readinessOf(workload, revision)
    progress.show(id, [latest.summary, ...latest.replicaLines])
    if (latest.kind !== 'waiting') return latest
  }
  return { kind: 'late', summary: latest.summary }
}

function report(
  context: CommandContext,
  outcomes: readonly Outcome[],
  tookMs: number,
  timeoutMs: number,
): number {
  if (context.signal.aborted) return exitCodes.interrupted
  if (outcomes.every((outcome) => outcome.kind === 'ready')) {
    context.io.err(`Ready after ${formatDurationMs(tookMs)}.\n`)
    return exitCodes.ok
  }
  for (const { kind, summary } of outcomes) {
    if (kind === 'failed') context.io.err(`Failed: ${summary}.\n`)
    if (kind === 'gone') context.io.err(`Failed: ${summary}.\n`)
    if (kind === 'late') {
      context.io.err(
        `Not ready within ${formatDurationMs(timeoutMs)}: ${summary}. ` +
          'See why with `cloudlessctl workload describe`; wait longer with --timeout.\n',
      )
    }
  }
  return exitCodes.failed
}
