/** Who did it, for events: from a client's name such as "operator/admin" or "node/node-abc". */
import type { Actor } from '@cloudless/observability'

const typeByIdentity: Readonly<Record<string, Actor['type']>> = { operator: 'user', node: 'node' }

export function actorOf(clientName: string): Actor {
  const [identity, id] = clientName.split('/', 2)
  return { type: typeByIdentity[identity ?? ''] ?? 'system', id: id ?? clientName }
}
