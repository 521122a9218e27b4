/** Where the coordinator listens, where others reach it, and under which names. */
import { isIP } from 'node:net'
import { networkInterfaces, hostname } from 'node:os'
import { CloudlessError, formatAddress, parseAddress } from '@cloudless/base'
import type { ListenAddress } from '../server/listen.ts'
import type { CoordinatorSettings } from './settings.ts'

/** Without a host: all of ours. `invalid_argument` when it is none. */
export function requireAddress(text: string): ListenAddress {
  const address = parseAddress(text)
  if (address) return { ...address, host: address.host || '0.0.0.0' }
  throw new CloudlessError('invalid_argument', `"${text}" is not an address like 0.0.0.0:8080`)
}

/** Where agents reach us: what the operator says, else what we listen on, with our addresses in place of "all". */
export function advertisedAddresses(settings: CoordinatorSettings): string[] {
  if (settings.advertise_addr.length > 0) return [...settings.advertise_addr]
  return settings.bind_addr.flatMap((text) => {
    const { host, port } = requireAddress(text)
    const hosts = host === '0.0.0.0' || host === '::' ? ownAddresses() : [host]
    return hosts.map((one) => formatAddress({ host: one, port }))
  })
}

/** What the server's certificate says of itself: the names and addresses by which anybody may call it. */
export function certificateNames(settings: CoordinatorSettings) {
  const hosts = [
    'localhost',
    hostname().toLowerCase(),
    '127.0.0.1',
    ...ownAddresses(),
    ...settings['tls.names'],
    ...advertisedAddresses(settings).map((text) => requireAddress(text).host),
  ]
  const unique = [...new Set(hosts)]
  return {
    dnsNames: unique.filter((host) => isIP(host) === 0 && host !== ''),
    ipAddresses: unique.filter((host) => isIP(host) !== 0),
  }
}

function ownAddresses(): string[] {
  const all = Object.values(networkInterfaces()).flatMap((addresses) => addresses ?? [])
  const outward = all.filter(({ internal, family }) => !internal && family === 'IPv4')
  return outward.length > 0 ? outward.map(({ address }) => address) : ['127.0.0.1']
}
