/** Which addresses the whole internet can reach, as far as an address can tell. */
import { BlockList, isIP } from 'node:net'

/** Private, shared by carriers, link-local, loopback, multicast, documentation (RFC 6890). */
const notPublic = new BlockList()
for (const [network, prefix] of [
  ['0.0.0.0', 8],
  ['10.0.0.0', 8],
  ['100.64.0.0', 10],
  ['127.0.0.0', 8],
  ['169.254.0.0', 16],
  ['172.16.0.0', 12],
  ['192.0.0.0', 24],
  ['192.0.2.0', 24],
  ['192.168.0.0', 16],
  ['198.18.0.0', 15],
  ['198.51.100.0', 24],
  ['203.0.113.0', 24],
  ['224.0.0.0', 3],
] as const) {
  notPublic.addSubnet(network, prefix, 'ipv4')
}

/** Global unicast (RFC 4291), without what is for documentation. */
const publicV6 = new BlockList()
publicV6.addSubnet('2000::', 3, 'ipv6')
const documentationV6 = new BlockList()
documentationV6.addSubnet('2001:db8::', 32, 'ipv6')

/** False for what is no address. */
export function isPublicAddress(text: string): boolean {
  switch (isIP(text)) {
    case 4:
      return !notPublic.check(text, 'ipv4')
    case 6:
      return publicV6.check(text, 'ipv6') && !documentationV6.check(text, 'ipv6')
    default:
      return false
  }
}
