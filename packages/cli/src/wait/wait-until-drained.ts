/** `node drain --wait`: shows how far the drain is and what it waits for, replica by replica. */
import { WatchKind, type Node } from '@cloudless/api'
import type { CommandContext } from '../command.ts'
import { drainLines, leftToDrain } from '../resources/drain.ts'
import { reopening } from '../watch.ts'
import { Progress } from './progress.ts'
import { waitUntil } from './wait-until.ts'

/** After the deadline of a forced drain, what is left has its grace to end in. */
const forcedGraceMs = 60_000

/** Until no replica is left on the node. */
export async function waitUntilDrained(
  context: CommandContext,
  drained: Node,
  { timeoutMs, force }: { readonly timeoutMs: number; readonly force: boolean },
): Promise<number> {
  const { coordinator } = await context.connect()
  const progress = new Progress(context.io)
  return await waitUntil(
    context,
    force ? timeoutMs + forcedGraceMs : timeoutMs,
    `node ${drained.name} still has replicas`,
    async (signal) => {
      const changes = reopening(context, signal, () =>
        coordinator.watchNodes({ nodeId: drained.id }, { signal, timeoutMs: 0 }),
      )
      for await (const { kind, node } of changes) {
        if (kind === WatchKind.DELETED) return true
        if (node === undefined) continue
        progress.show(node.id, drainLines(node))
        if (leftToDrain(node) === 0) return true
      }
      return false
    },
  )
}
