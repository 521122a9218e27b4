/** `workload rollout status`: until the newest rollout of a workload has ended, one way or the other. */
import { RolloutPhase, WatchKind, type Workload } from '@cloudless/api'
import { formatDurationMs } from '@cloudless/base'
import type { CommandContext } from '../command.ts'
import { exitCodes } from '../exit-code.ts'
import { isRollingOut, rolloutFailure, rolloutOf, rolloutSentence } from '../resources/rollout.ts'
import { workloadTitle } from '../resources/workload.ts'
import { reopening } from '../watch.ts'
import { startDeadline } from './deadline.ts'
import { Progress } from './progress.ts'

export interface RolloutVerdict {
  readonly kind: 'done' | 'failed' | 'waiting'
  readonly summary: string
}

/** `expected`: the revision whose rollout is asked about. */
export function rolloutVerdict(workload: Workload, expected: bigint): RolloutVerdict {
  const title = workloadTitle(workload)
  const failure = rolloutFailure(workload, expected)
  if (failure !== undefined) return { kind: 'failed', summary: failure }
  const rollout = rolloutOf(workload)
  if (isRollingOut(workload)) {
    return { kind: 'waiting', summary: `${title}: ${rolloutSentence(workload)}` }
  }
  if (rollout?.phase === RolloutPhase.FAILED) {
    return { kind: 'failed', summary: `${title}: ${rolloutSentence(workload)}` }
  }
  return { kind: 'done', summary: `${title}: revision ${workload.revision} is rolled out` }
}

/** Resolves with the exit code; progress goes to stderr, how it ended to stdout. */
export async function waitUntilRolledOut(
  context: CommandContext,
  { id, namespace, revision, status }: Workload,
  timeoutMs: number,
): Promise<number> {
  const { coordinator } = await context.connect()
  const deadline = startDeadline(context, timeoutMs)
  const progress = new Progress(context.io)
  // What goes back is asked about because of what it goes back from.
  const expected = status?.rollout?.failedRevision || revision
  const { signal } = deadline
  let verdict: RolloutVerdict = { kind: 'waiting', summary: `workload ${id}: waiting` }
  try {
    const changes = reopening(context, signal, () =>
      coordinator.watchWorkloads({ workloadId: id, namespace }, { signal, timeoutMs: 0 }),
    )
    for await (const { kind, workload } of changes) {
      if (workload === undefined) continue
      if (kind === WatchKind.DELETED) {
        verdict = { kind: 'failed', summary: `${workloadTitle(workload)} was deleted meanwhile` }
        break
      }
      verdict = rolloutVerdict(workload, expected)
      if (verdict.kind !== 'waiting') break
      progress.show(id, [verdict.summary])
    }
  } finally {
    deadline.end()
  }
  if (verdict.kind === 'waiting' && context.signal.aborted) return exitCodes.interrupted
  context.io.out(`${verdict.summary}\n`)
  if (verdict.kind === 'done') return exitCodes.ok
  if (verdict.kind === 'waiting') {
    context.io.err(
      `Not over within ${formatDurationMs(timeoutMs)}; it goes on without us. ` +
        'Wait longer with --timeout.\n',
    )
  }
  return exitCodes.failed
}
