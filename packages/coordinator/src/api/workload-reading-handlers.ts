/** CoordinatorService's calls that read workloads and their replicas. */
import { create } from '@bufbuild/protobuf'
import {
  ListReplicasResponseSchema,
  ListWorkloadsResponseSchema,
  WatchWorkloadsResponseSchema,
  pageOf,
  type AutoscalingStatus,
  type GetWorkloadRequest,
  type ListReplicasRequest,
  type ListWorkloadsRequest,
  type WatchWorkloadsRequest,
  type ReplicaRecord,
  type Workload,
  type WorkloadRecord,
} from '@cloudless/api'
import type { ClusterState, Held } from '../state/cluster-state.ts'
import type { Call } from './call.ts'
import { matchesLabels, requireNode, requireWorkload } from './find.ts'
import { viewReplica } from './rollout-view.ts'
import { watchRecords } from './watch.ts'
import { viewHeldWorkload } from './workload-view.ts'

export interface WorkloadReadingDeps {
  readonly state: ClusterState
  /** Newer than what is on record; undefined when nothing is known. */
  readonly autoscalingOf: (workloadId: string) => AutoscalingStatus | undefined
}

export function workloadReadingHandlers({ state, autoscalingOf }: WorkloadReadingDeps) {
  const view = (held: Held<WorkloadRecord>, withReplicas: boolean): Workload => {
    const workload = viewHeldWorkload(state, held, withReplicas)
    const autoscaling = autoscalingOf(held.id)
    return autoscaling ? { ...workload, status: { ...workload.status!, autoscaling } } : workload
  }
  return {
    getWorkload: (request: GetWorkloadRequest): Workload =>
      view(requireWorkload(state, request.workloadId, request.namespace), true),

    listWorkloads(request: ListWorkloadsRequest) {
      const matching = [...state.all('workload')].filter((held) => matchesWorkload(held, request))
      const page = pageOf(matching, ({ record: { workload } }) => keyOfWorkload(workload!), request)
      return create(ListWorkloadsResponseSchema, {
        workloads: page.items.map((held) => view(held, false)),
        nextToken: page.nextToken,
        total: page.total,
      })
    },

    async *watchWorkloads(request: WatchWorkloadsRequest, call: Call) {
      const single = request.workloadId !== ''
      const only = single
        ? requireWorkload(state, request.workloadId, request.namespace).id
        : undefined
      const accepts = (held: Held<WorkloadRecord>): boolean =>
        single ? held.id === only : matchesWorkload(held, request)
      const source = {
        current: () => {
          const workloads = new Map<string, Workload>()
          for (const held of state.all('workload')) {
            if (accepts(held)) workloads.set(held.id, view(held, single))
          }
          return workloads
        },
        *concerned(changes: Parameters<Parameters<ClusterState['listen']>[0]>[0]) {
          for (const { kind, id, before, after } of changes) {
            if (kind === 'workload') yield id
            if (kind !== 'replica') continue
            const replica = (after ?? before) as { status?: { workloadId: string } }
            yield replica.status!.workloadId
          }
        },
        view: (id: string) => {
          const held = state.held('workload', id)
          return held && accepts(held) ? view(held, single) : undefined
        },
      }
      for await (const { kind, item } of watchRecords(state, source, call.signal)) {
        yield create(WatchWorkloadsResponseSchema, { kind, ...(item && { workload: item }) })
      }
    },

    listReplicas(request: ListReplicasRequest) {
      const nodeId = request.nodeId === '' ? undefined : requireNode(state, request.nodeId).id
      const workloadId =
        request.workloadId === ''
          ? undefined
          : requireWorkload(state, request.workloadId, request.namespace).id
      const all =
        workloadId !== undefined
          ? state.replicasOfWorkload(workloadId)
          : nodeId !== undefined
            ? state.replicasOnNode(nodeId)
            : [...state.all('replica')]
      const isAsked = ({ record: { status } }: Held<ReplicaRecord>): boolean =>
        (nodeId === undefined || status!.nodeId === nodeId) &&
        (workloadId !== undefined ||
          request.namespace === '' ||
          status!.namespace === request.namespace)
      const page = pageOf(all.filter(isAsked), ({ id }) => id, request)
      return create(ListReplicasResponseSchema, {
        replicas: page.items.map(({ record }) =>
          viewReplica(record, state.get('workload', record.status!.workloadId)),
        ),
        nextToken: page.nextToken,
        total: page.total,
      })
    },
  }
}

function keyOfWorkload(workload: Workload): string {
  return `${workload.namespace}/${workload.name}`
}

function matchesWorkload(
  { record: { workload } }: Held<WorkloadRecord>,
  filter: {
    readonly namespace: string
    readonly labelSelector: Readonly<Record<string, string>>
  },
): boolean {
  return (
    (filter.namespace === '' || workload!.namespace === filter.namespace) &&
    matchesLabels(workload!.labels, filter.labelSelector)
  )
}
