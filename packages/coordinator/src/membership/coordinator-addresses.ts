/** Where the coordinators of the cluster are reached: this one first, then the others as they wrote it down themselves. */
import type { ClusterState } from '../state/cluster-state.ts'

export function coordinatorAddresses(
  state: Pick<ClusterState, 'all'>,
  own: readonly string[],
): string[] {
  const others = [...state.all('coordinator')].flatMap(({ record }) => record.addresses)
  return [...new Set([...own, ...others])]
}
