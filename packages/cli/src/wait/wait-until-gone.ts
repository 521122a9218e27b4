/** `--wait` for workloads being deleted. */
import { WatchKind } from '@cloudless/api'
import { counted } from '@cloudless/base'
import type { CommandContext } from '../command.ts'
import { reopening } from '../watch.ts'
import { Progress } from './progress.ts'
import { waitUntil } from './wait-until.ts'

/** Until the workload is deleted with everything of it; one that is not there is gone. */
export async function waitUntilDeleted(
  context: CommandContext,
  workload: { readonly workloadId: string; readonly namespace: string },
  timeoutMs: number,
): Promise<number> {
  const { coordinator } = await context.connect()
  const progress = new Progress(context.io)
  const { workloadId } = workload
  return await waitUntil(
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
