/** Which node a call of AgentService is for. */
import { CloudlessError } from '@cloudless/base'
import type { AgentTarget } from '../server/agent-forwarding.ts'
import type { ClusterState } from '../state/cluster-state.ts'
import { requireNode } from './find.ts'

/** The node's id; `not_found` and `failed_precondition` (no place yet) with what to do. */
export function locateContainer(state: ClusterState, target: AgentTarget): string {
  if (target.nodeId !== '') return requireNode(state, target.nodeId).id
  const replica = state.get('replica', target.containerId)
  if (replica === undefined) {
    throw new CloudlessError(
      'not_found',
      `there is no replica or container "${target.containerId}"; ` +
        '`cloudlessctl workload replicas -A` shows them, and --node names the node of any other',
    )
  }
  const { nodeId, id, message } = replica.status!
  if (nodeId !== '') return nodeId
  throw new CloudlessError(
    'failed_precondition',
    `replica "${id}" has no container yet: it waits for a place${message && ` (${message})`}`,
  )
}
