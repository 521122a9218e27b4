/** `--wait` for things that go: workloads being deleted, nodes being drained. */
import { WatchKind, type Node } from '@cloudless/api'
import { CloudlessError, counted, formatDurationMs } from '@cloudless/base'
import type { CommandContext } from '../command.ts'
import { explainFailure } from '../connection/explain.ts'
import { exitCodes } from '../exit-code.ts'
import { nodeStatus } from '../resources/node.ts'
import { reopening } from '../watch.ts'
import { startDeadline } from './deadline.ts'
import { Progress } from './progress.ts'

/** Until the workload is deleted with everything of it; one that is not there is gone. */
export async function waitUntilDeleted(
  context: CommandContext,
  workload: { readonly workloadId: string; readonly namespace: string },
  timeoutMs: number,
): Promise<number> {
  const { coordinator } = await context.connect()
  const progress = new Progress(context.io)
  const { workloadId } = workload
  return await waitFor(
    context,
    timeoutMs,
    `workload ${workloadId} is still there`,
    async (signal) => {
      const changes = reopening(context, signal, () =>
        coordinator.watchWorkloads(workload, { signal, timeoutMs: 0 }),
      )
      let known = false
      for await (const change of changes) {
        if (change.kind === WatchKind.DELETED) return true
        if (change.kind === WatchKind.SYNCED && !known) return true
        if (change.workload === undefined) continue
        known = true
        const left = change.workload.status?.replicas.length ?? 0
        progress.show(workloadId, [
          `workload ${change.workload.name}: ${counted(left, 'replica')} left`,
        ])
      }
      return false
    },
  )
}

/** Until no replica is left on the node. */
export async function waitUntilDrained(
  context: CommandContext,
  drained: Node,
  timeoutMs: number,
): Promise<number> {
  const { coordinator } = await context.connect()
  const progress = new Progress(context.io)
  return await waitFor(
    context,
    timeoutMs,
    `node ${drained.name} still has replicas`,
    async (signal) => {
      const changes = reopening(context, signal, () =>
        coordinator.watchNodes({ nodeId: drained.id }, { signal, timeoutMs: 0 }),
      )
      for await (const { kind, node } of changes) {
        if (kind === WatchKind.DELETED) return true
        if (node === undefined) continue
        progress.show(node.id, [
          `node ${node.name} (${nodeStatus(node)}): ${counted(node.replicaCount, 'replica')} left`,
        ])
        if (node.replicaCount === 0) return true
      }
      return false
    },
  )
}

async function waitFor(
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
