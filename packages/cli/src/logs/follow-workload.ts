/** Follows every replica of a workload, also those that come later; ends when the workload is deleted. */
import { WatchKind, type ReplicaStatus } from '@cloudless/api'
import type { CommandContext } from '../command.ts'
import { hasContainer, isReplica } from '../targets.ts'
import { reopening } from '../watch.ts'
import type { LogPrinter } from './log-printer.ts'
import { followLog } from './log-source.ts'

export interface FollowRequest {
  readonly workloadId: string
  readonly namespace: string
  readonly replica: string | undefined
  readonly tailLines: number | undefined
  readonly sinceMs: number
}

interface Running {
  readonly stop: AbortController
  readonly done: Promise<void>
}

export async function followWorkload(
  context: CommandContext,
  printer: LogPrinter,
  request: FollowRequest,
): Promise<void> {
  const { coordinator } = await context.connect()
  const running = new Map<string, Running>()
  const failed = Promise.withResolvers<never>()
  const end = new AbortController()
  const signal = AbortSignal.any([context.signal, end.signal])
  let synced = false

  function start({ id, nodeId }: ReplicaStatus): void {
    const stop = new AbortController()
    // A replica that appears while we look on is shown from its first line.
    const tailLines = synced ? undefined : request.tailLines
    const log = { containerId: id, nodeId, tailLines, sinceMs: request.sinceMs }
    const until = AbortSignal.any([signal, stop.signal])
    const done = (async () => {
      for await (const line of followLog(context, log, until, false)) await printer.print(id, line)
    })().catch((reason: unknown) => failed.reject(reason))
    running.set(id, { stop, done })
  }

  function compare(replicas: readonly ReplicaStatus[]): void {
    const wanted = replicas.filter((r) => hasContainer(r) && isReplica(request.replica, r))
    for (const replica of wanted) if (!running.has(replica.id)) start(replica)
    const ids = new Set(wanted.map((replica) => replica.id))
    for (const [id, { stop }] of running) {
      if (ids.has(id)) continue
      stop.abort(new Error('the replica is gone'))
      running.delete(id)
    }
  }

  async function watch(): Promise<void> {
    const target = { workloadId: request.workloadId, namespace: request.namespace }
    const changes = reopening(context, signal, () =>
      coordinator.watchWorkloads(target, { signal, timeoutMs: 0 }),
    )
    for await (const { kind, workload } of changes) {
      if (kind === WatchKind.DELETED) return
      if (kind === WatchKind.SYNCED) synced = true
      if (workload !== undefined) compare(workload.status?.replicas ?? [])
    }
  }

  try {
    await Promise.race([watch(), failed.promise])
  } finally {
    end.abort(new Error('following is over'))
    await Promise.all([...running.values()].map(({ done }) => done))
  }
}
