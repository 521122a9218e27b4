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

/** `failed_precondition` when the port is taken. */
export async function listen(
  server: Server,
  address: ListenAddress,
  purpose: string,
): Promise<BoundAddress> {
  try {
    server.listen(address.port, address.host)
    await once(server, 'listening')
  } catch (reason) {
    throw await explainListenFailure(reason, { ...address, purpose })
  }
  const { port } = server.address() as AddressInfo
  return { host: address.host, port }
}

/** "host:port", with brackets around an IPv6 address. Undefined when it is neither. */
export function parseListenAddress(text: string): ListenAddress | undefined {
  const match = /^(?:\[([0-9a-fA-F:.]+)\]|([^:[\]]*)):(\d{1,5})$/.exec(text)
  if (match === null) return undefined
  const port = Number(match[3])
  const host = match[1] ?? (match[2] || '0.0.0.0')
  return port <= 65_535 ? { host, port } : undefined
}
