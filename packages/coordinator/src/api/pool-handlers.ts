/** CoordinatorService's calls about the virtual resource network: the pool and its fragments. */
import { create } from '@bufbuild/protobuf'
import {
  FragmentStatus,
  ListFragmentsResponseSchema,
  NodePhase,
  pageOf,
  type Fragment,
  type ListFragmentsRequest,
  type ListFragmentsResponse,
  type ReplicaRecord,
  type ResourcePool,
} from '@cloudless/api'
import { resourcesOf } from '../controllers/replica-kinds.ts'
import type { SchedulerView } from '../controllers/scheduler-view.ts'
import type { LiveNodes } from '../membership/live-nodes.ts'
import type { ClusterState } from '../state/cluster-state.ts'
import { enumName } from '../state/enum-names.ts'
import { findWorkload, noWorkload, requireNode } from './find.ts'
import { fragmentOf, fragmentStatusOf, holderOf, type HoldingNode } from './fragments.ts'
import { resourcePoolOf, type PooledNode } from './resource-pool.ts'

export interface PoolHandlersDeps {
  readonly state: ClusterState
  readonly view: SchedulerView
  readonly liveNodes: LiveNodes
  /** What was given back, oldest first. */
  readonly released: () => readonly Fragment[]
}

interface FragmentFilter {
  readonly nodeId: string | undefined
  readonly workloadId: string | undefined
  readonly namespace: string
  readonly status: FragmentStatus
}

export function poolHandlers(deps: PoolHandlersDeps) {
  const { state } = deps

  function holdingNode(record: ReplicaRecord): HoldingNode | undefined {
    const node = state.get('node', holderOf(record))?.node
    return node && { name: node.name, isLost: node.status!.phase === NodePhase.OFFLINE }
  }

  /** By node and the name of the status. */
  function fragmentCounts(): Map<string, Record<string, number>> {
    const byNode = new Map<string, Record<string, number>>()
    for (const { record } of state.all('replica')) {
      const nodeId = holderOf(record)
      if (nodeId === '') continue
      const counts = byNode.get(nodeId) ?? {}
      const name = enumName(FragmentStatus, fragmentStatusOf(record, holdingNode(record)))
      counts[name] = (counts[name] ?? 0) + 1
      byNode.set(nodeId, counts)
    }
    return byNode
  }

  /** Fragments are only made of those that are shown: there may be a million. */
  function pageOfHeld(request: ListFragmentsRequest, filter: FragmentFilter) {
    const { workloadId, nodeId, namespace, status } = filter
    const all =
      workloadId === undefined ? state.all('replica') : state.replicasOfWorkload(workloadId)
    const matching: ReplicaRecord[] = []
    for (const { record } of all) {
      const holder = holderOf(record)
      if (holder === '' || (nodeId !== undefined && holder !== nodeId)) continue
      if (namespace !== '' && record.status!.namespace !== namespace) continue
      if (status !== FragmentStatus.UNSPECIFIED) {
        if (fragmentStatusOf(record, holdingNode(record)) !== status) continue
      }
      matching.push(record)
    }
    const page = pageOf(matching, (record) => record.status!.id, request)
    return { ...page, items: page.items.map((record) => fragmentOf(record, holdingNode(record))!) }
  }

  function pageOfReleased(
    request: ListFragmentsRequest,
    { nodeId, workloadId, namespace }: FragmentFilter,
  ) {
    const matching = deps
      .released()
      .filter(
        (fragment) =>
          (nodeId === undefined || fragment.nodeId === nodeId) &&
          (workloadId === undefined || fragment.workloadId === workloadId) &&
          (namespace === '' || fragment.namespace === namespace),
      )
    return pageOf(matching, keyOfReleased, request)
  }

  function workloadIdOf({ workloadId, namespace }: ListFragmentsRequest): string {
    const held = findWorkload(state, namespace, workloadId) ?? state.held('workload', workloadId)
    if (held) return held.id
    // What was given back may be of a workload that is gone.
    const gone = deps.released().find((fragment) => isOf(fragment, workloadId, namespace))
    if (gone) return gone.workloadId
    throw noWorkload(namespace, workloadId)
  }

  return {
    getResourcePool(): ResourcePool {
      const fragments = fragmentCounts()
      const nodes: PooledNode[] = []
      for (const { id, record } of state.all('node')) {
        const { name, region, zone, status, capacity, allocatable } = record.node!
        if (status!.phase === NodePhase.OFFLINE) continue
        nodes.push({
          name,
          region,
          zone,
          isReady: deps.view.table.node(id)?.phase === 'ready',
          capacity: resourcesOf(capacity),
          allocatable: resourcesOf(allocatable),
          reserved: deps.view.table.reservedOn(id),
          usage: deps.liveNodes.get(id)?.usage,
          fragments: fragments.get(id) ?? {},
        })
      }
      const { cpuOvercommit, memoryOvercommit } = deps.view.configuration()
      return resourcePoolOf(nodes, { cpuOvercommit, memoryOvercommit })
    },

    listFragments(request: ListFragmentsRequest): ListFragmentsResponse {
      const workloadId = request.workloadId === '' ? undefined : workloadIdOf(request)
      const filter = {
        nodeId: request.nodeId === '' ? undefined : requireNode(state, request.nodeId).id,
        workloadId,
        // A workload has one; it may have been named by its id alone.
        namespace: workloadId === undefined ? request.namespace : '',
        status: request.status,
      }
      const page =
        request.status === FragmentStatus.RELEASED
          ? pageOfReleased(request, filter)
          : pageOfHeld(request, filter)
      return create(ListFragmentsResponseSchema, {
        fragments: [...page.items],
        nextToken: page.nextToken,
        total: page.total,
      })
    },
  }
}

function isOf(fragment: Fragment, idOrName: string, namespace: string): boolean {
  return (
    fragment.workloadId === idOrName ||
    (fragment.workloadName === idOrName && fragment.namespace === (namespace || 'default'))
  )
}

/** A replica that has had room promised on several nodes has given back several of one id. */
function keyOfReleased({ id, nodeId, releasedAtMs }: Fragment): string {
  return `${id}/${nodeId}/${String(releasedAtMs).padStart(15, '0')}`
}
