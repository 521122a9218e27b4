/** What logs and exec are about: a workload with its replicas, one replica, or one container. */
import { ReplicaState, type ReplicaStatus, type Workload } from '@cloudless/api'
import { CloudlessError } from '@cloudless/base'
import type { CommandContext } from './command.ts'
import { explainFailure } from './connection/explain.ts'
import { fetchAll } from './paging.ts'
import { replicaExplanation, replicaState } from './resources/replica.ts'

export type Target =
  | { readonly kind: 'workload'; readonly workload: Workload; readonly replicas: ReplicaStatus[] }
  | { readonly kind: 'container'; readonly containerId: string }

/** A workload by name or id; where there is none, the name is taken for a replica's or container's id. */
export async function findTarget(context: CommandContext, name: string): Promise<Target> {
  const { coordinator } = await context.connect()
  const { signal, settings } = context
  let workload: Workload
  try {
    workload = await coordinator.getWorkload(
      { workloadId: name, namespace: settings.namespace },
      { signal },
    )
  } catch (reason) {
    if (explainFailure(reason).code !== 'not_found') throw reason
    return { kind: 'container', containerId: name }
  }
  const request = { workloadId: workload.id, namespace: workload.namespace }
  const replicas = await fetchAll(
    (page) => coordinator.listReplicas({ ...request, ...page }, { signal }),
    (page) => page.replicas,
  )
  return { kind: 'workload', workload, replicas }
}

/** Whether a --replica option means this one: its id, or the part of it after the workload's name. */
export function isReplica(wanted: string | undefined, replica: ReplicaStatus): boolean {
  return wanted === undefined || replica.id === wanted || replica.id.endsWith(`-${wanted}`)
}

/** Whether there is, or was, a container of it that can be asked. */
export function hasContainer(replica: ReplicaStatus): boolean {
  return replica.nodeId !== '' && replica.state !== ReplicaState.LOST
}

/** The replica to run a command in: a ready one before one that merely runs. */
export function replicaToEnter(
  workload: Workload,
  replicas: readonly ReplicaStatus[],
  wanted: string | undefined,
): ReplicaStatus {
  const named = replicas.filter((replica) => isReplica(wanted, replica))
  const running = named.filter((replica) => replica.state === ReplicaState.RUNNING)
  const chosen = running.find((replica) => replica.ready) ?? running[0]
  if (chosen !== undefined) return chosen
  if (named.length === 0) {
    const what = wanted === undefined ? 'no replicas' : `no replica "${wanted}"`
    throw new CloudlessError('not_found', `workload ${workload.name} has ${what}.`)
  }
  const [first] = named
  const why = replicaExplanation(first!)
  throw new CloudlessError(
    'failed_precondition',
    `no replica of ${workload.name} runs: ${first!.id} is ${replicaState(first!)}` +
      `${why === '' ? '' : ` (${why})`}.`,
  )
}
