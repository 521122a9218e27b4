/** Where to listen or connect: "host:port", IPv6 in brackets. */

export interface Address {
  /** Without brackets; empty in ":8080", which means every interface. */
  readonly host: string
  readonly port: number
}

const shape = /^(?:\[([0-9a-fA-F:.]+)\]|([A-Za-z0-9._-]*)):(\d{1,5})$/

/** Undefined when the text is no address or the port is above 65535. */
export function parseAddress(text: string): Address | undefined {
  const [, inBrackets, plain, digits] = shape.exec(text) ?? []
  const port = Number(digits)
  if (digits === undefined || port > 65_535) return undefined
  return { host: inBrackets ?? plain ?? '', port }
}

export function formatAddress({ host, port }: Address): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`
}
