/** CoordinatorService's calls about the virtual resource network: the pool and its fragments. */
import { create } from '@bufbuild/protobuf'
import {
  FragmentStatus,
  ListFragmentsResponseSchema,
  NodePhase,
  pageOf,
  type Fragment,
  type ListFragmentsRequest,
  type ResourcePool,
} from '@cloudless/api'
import { resourcesOf } from '../controllers/replica-kinds.ts'
import type { SchedulerView } from '../controllers/scheduler-view.ts'
import type { LiveNodes } from '../membership/live-nodes.ts'
import type { ClusterState } from '../state/cluster-state.ts'
import { findWorkload, noWorkload, requireNode } from './find.ts'
import { fragmentOf } from './fragments.ts'
import { resourcePoolOf, type PooledNode } from './resource-pool.ts'

export interface PoolHandlersDeps {
  readonly state: ClusterState
  readonly view: SchedulerView
  readonly liveNodes: LiveNodes
  /** What was given back, oldest first. */
  readonly released: () => readonly Fragment[]
}

export function poolHandlers(deps: PoolHandlersDeps) {
  const { state } = deps

  /** Of all replicas that hold something, by node. */
  function heldFragments(): Map<string, Fragment[]> {
    const byNode = new Map<string, Fragment[]>()
    for (const { record } of state.all('replica')) {
      const { nodeId, nominatedNodeId } = record.status!
      const node = state.get('node', nodeId || nominatedNodeId)?.node
      const isLost = node?.status?.phase === NodePhase.OFFLINE
      const fragment = fragmentOf(record, node && { name: node.name, isLost })
      if (fragment === undefined) continue
      const others = byNode.get(fragment.nodeId)
      if (others) others.push(fragment)
      else byNode.set(fragment.nodeId, [fragment])
    }
    return byNode
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
      const fragments = heldFragments()
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
          fragments: fragments.get(id) ?? [],
        })
      }
      const { cpuOvercommit, memoryOvercommit } = deps.view.configuration()
      return resourcePoolOf(nodes, { cpuOvercommit, memoryOvercommit })
    },

    listFragments(request: ListFragmentsRequest) {
      const nodeId = request.nodeId === '' ? undefined : requireNode(state, request.nodeId).id
      const workloadId = request.workloadId === '' ? undefined : workloadIdOf(request)
      const all =
        request.status === FragmentStatus.RELEASED
          ? deps.released()
          : [...heldFragments().values()].flat()
      const matching = all.filter(
        (fragment) =>
          (nodeId === undefined || fragment.nodeId === nodeId) &&
          (workloadId === undefined || fragment.workloadId === workloadId) &&
          (workloadId !== undefined ||
            request.namespace === '' ||
            fragment.namespace === request.namespace) &&
          (request.status === FragmentStatus.UNSPECIFIED || fragment.status === request.status),
      )
      const page = pageOf(matching, keyOfFragment, request)
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
function keyOfFragment({ id, nodeId, releasedAtMs }: Fragment): string {
  return `${id}/${nodeId}/${String(releasedAtMs).padStart(15, '0')}`
}
