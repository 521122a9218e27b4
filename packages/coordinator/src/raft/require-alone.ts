import { CloudlessError } from '@cloudless/base'
import type { EtcdClusterMember } from '@cloudless/metadata'

/** `failed_precondition`, with what to do, while the RAFT group has other members. */
export function requireAlone(members: readonly EtcdClusterMember[], coordinatorId: string): void {
  const others = members.map(({ name }) => name).filter((name) => name !== coordinatorId)
  if (others.length === 0) return
  throw new CloudlessError(
    'failed_precondition',
    `there are other coordinators (${others.join(', ')}): take them out first with \`cloudlessctl cluster remove\``,
  )
}
