/**
 * Feasibility: which nodes could run a replica at all. Scoring, which chooses among them, is a separate step; a filter never
 * ranks and never changes anything.
 *
 * Every rejection carries a reason, because "pending" without a reason is the commonest complaint made of any scheduler.
 */
import type { AffinityTerms } from './affinity.ts'
import { affinityFilter } from './filters/affinity.ts'
import { architectureFilter } from './filters/architecture.ts'
import { excludedFilter } from './filters/excluded.ts'
import type { Filter } from './filters/filter.ts'
import { gpuModelFilter } from './filters/gpu-model.ts'
import { hostPortsFilter } from './filters/host-ports.ts'
import { iopsClassFilter } from './filters/iops-class.ts'
import { locationFilter } from './filters/location.ts'
import { phaseFilter } from './filters/phase.ts'
import { resourcesFilter } from './filters/resources.ts'
import { selectorFilter } from './filters/selector.ts'
import { storageFilter } from './filters/storage.ts'
import { taintsFilter } from './filters/taints.ts'
import type { NodeView, PendingReplica, RejectionCount } from './model.ts'

/** Cheapest first. */
export const filters: readonly Filter[] = [
  phaseFilter,
  excludedFilter,
  resourcesFilter,
  hostPortsFilter,
  taintsFilter,
  selectorFilter,
  locationFilter,
  architectureFilter,
  gpuModelFilter,
  iopsClassFilter,
  storageFilter,
  affinityFilter,
]

/** The first filter's reason is final: a node is counted once. */
export function rejectionOf(
  replica: PendingReplica,
  node: NodeView,
  terms: AffinityTerms,
): string | undefined {
  for (const filter of filters) {
    const reason = filter.reject(replica, node, terms)
    if (reason !== undefined) return reason
  }
  return undefined
}

/** The reasons name taints and ports, so a large cluster could have thousands. */
const reasonsMax = 10

/** Reasons with their numbers of nodes, most common first; the rare ones together. The numbers sum to the reasons given. */
export function countRejections(reasons: Iterable<string>): readonly RejectionCount[] {
  const counts = new Map<string, number>()
  for (const reason of reasons) counts.set(reason, (counts.get(reason) ?? 0) + 1)
  const ordered = [...counts]
    .map(([reason, nodeCount]) => ({ reason, nodeCount }))
    .sort((a, b) => b.nodeCount - a.nodeCount || (a.reason < b.reason ? -1 : 1))
  if (ordered.length <= reasonsMax) return ordered
  const rare = ordered.slice(reasonsMax - 1)
  const nodeCount = rare.reduce((sum, { nodeCount }) => sum + nodeCount, 0)
  return [...ordered.slice(0, reasonsMax - 1), { reason: 'other reasons', nodeCount }]
}

/** "0 of 3 nodes: 2 not enough memory, 1 cordoned". */
export function describeRejections(
  nodeCount: number,
  rejections: readonly RejectionCount[],
): string {
  if (nodeCount === 0) return 'there are no nodes'
  const parts = rejections.map(({ reason, nodeCount }) => `${nodeCount} ${reason}`)
  return `0 of ${nodeCount} ${nodeCount === 1 ? 'node' : 'nodes'}: ${parts.join(', ')}`
}
