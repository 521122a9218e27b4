/** Which replicas write more than their limits allow. Pure. */
import { formatBytes } from '@cloudless/base'
import type { ContainerUsage } from '@cloudless/runtime'
import type { ReplicaMachine } from '../replica/replica-state.ts'

export function planStorageLimits(
  replicas: readonly ReplicaMachine[],
  usages: readonly ContainerUsage[],
): { readonly replicaId: string; readonly message: string }[] {
  const usedBy = new Map(usages.map((usage) => [usage.containerId, usage.storageBytes]))
  return replicas.flatMap(({ assignment, containerId, stage }) => {
    const limit = Number(assignment.spec?.resources?.limits?.storageBytes ?? 0n)
    const used = usedBy.get(containerId) ?? 0
    if (stage !== 'running' || limit <= 0 || used <= limit) return []
    const message =
      `its writable layer, logs and volumes take ${formatBytes(used)}, ` +
      `more than its limit of ${formatBytes(limit)}`
    return [{ replicaId: assignment.replicaId, message }]
  })
}
