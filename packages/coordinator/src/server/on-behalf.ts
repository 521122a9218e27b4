/**
 * How one coordinator tells another for whom it asks. A follower has shaken hands with the caller and knows who it is; the
 * leader judges what that caller may. Believed of nobody but another coordinator.
 */
import { assert } from '@cloudless/base'
import type { PeerIdentity } from '@cloudless/identity'
import { ClientConnection, type MembershipChecks } from './client-connection.ts'
import type { HttpRequest, HttpResponse } from './rpc-handler.ts'

export const onBehalfHeader = 'x-cloudless-on-behalf'

interface Caller {
  readonly peer: PeerIdentity
  readonly remoteAddress: string
}

export function encodeCaller(caller: Caller): string {
  return Buffer.from(JSON.stringify(caller)).toString('base64url')
}

/** The connection of the caller itself, as long as this one call lasts; undefined when nobody asks for another. */
export function callerBehind(
  request: HttpRequest,
  response: HttpResponse,
  given: {
    readonly connection: ClientConnection
    readonly checks: MembershipChecks
    readonly nowMs: number
  },
): ClientConnection | undefined {
  const header = request.headers[onBehalfHeader]
  if (typeof header !== 'string') return undefined
  const asker = given.connection.peerAt(given.nowMs)
  const isCoordinator = asker.kind === 'member' && asker.type === 'controller' && !asker.expired
  if (!isCoordinator) return undefined
  const { peer, remoteAddress } = decodeCaller(header)
  return new ClientConnection(
    given.connection.id,
    {
      remoteAddress,
      destroy: () => void response.destroy(),
      once: (_event, act) => void response.once('close', act),
    },
    { peer, checks: given.checks },
  )
}

function decodeCaller(header: string): Caller {
  const caller = JSON.parse(Buffer.from(header, 'base64url').toString()) as Caller
  assert(typeof caller.remoteAddress === 'string', 'a coordinator says who its caller is')
  return caller
}
