/** Listening on an address, with an error that says who is in the way. */
import { once } from 'node:events'
import type { AddressInfo, Server } from 'node:net'
import { explainListenFailure } from './port-holder.ts'

export interface ListenAddress {
  /** An IP address or a name; "0.0.0.0" or "::" for all. */
  readonly host: string
  /** 0: any free one. */
  readonly port: number
}

export interface BoundAddress {
  readonly host: string
  readonly port: number
}

/**
 * Connections that wait to be taken, as far as the system allows as many. When thousands of agents dial at once, after a
 * power cut or our own start, each that finds no room tries again only a second later, then three.
 */
const backlogMax = 4_096

/** `failed_precondition` when the port is taken. */
export async function listen(
  server: Server,
  address: ListenAddress,
  purpose: string,
): Promise<BoundAddress> {
  try {
    server.listen({ ...address, backlog: backlogMax })
    await once(server, 'listening')
  } catch (reason) {
    throw await explainListenFailure(reason, { ...address, purpose })
  }
  const { port } = server.address() as AddressInfo
  return { host: address.host, port }
}
