/** Which subnet of the cluster's container network each node gets. Pure. */
import { CloudlessError } from '@cloudless/base'

export interface SubnetPlan {
  /** Such as "10.244.0.0/16". */
  readonly clusterCidr: string
  /** Prefix length of a node's subnet; 24 gives 254 addresses. */
  readonly nodePrefixLength: number
}

export const subnetPlanDefault: SubnetPlan = { clusterCidr: '10.244.0.0/16', nodePrefixLength: 24 }

/**
 * Gives the subnets nobody has, in order, one at each call. The very first of all is never given: its addresses are too
 * easily mistaken for the network's. A call throws `resource_exhausted` when there is none left, `invalid_argument` when
 * the plan is not one.
 */
export function freeSubnets(plan: SubnetPlan, isTaken: (subnet: string) => boolean): () => string {
  let n = 0
  return () => {
    const { base, size, count } = measuresOf(plan)
    while (++n < count) {
      const subnet = `${formatAddress(base + n * size)}/${plan.nodePrefixLength}`
      if (!isTaken(subnet)) return subnet
    }
    throw new CloudlessError(
      'resource_exhausted',
      `all ${count - 1} node subnets of ${plan.clusterCidr} are taken; remove nodes that are gone`,
    )
  }
}

interface Measures {
  readonly base: number
  /** Addresses of one node's subnet. */
  readonly size: number
  /** Subnets there are, the first included. */
  readonly count: number
}

function measuresOf({ clusterCidr, nodePrefixLength }: SubnetPlan): Measures {
  const { base, prefixLength } = parseCidr(clusterCidr)
  if (!(nodePrefixLength > prefixLength && nodePrefixLength <= 30)) {
    throw new CloudlessError(
      'invalid_argument',
      `a node's prefix length must be above ${prefixLength} and at most 30, not ${nodePrefixLength}`,
    )
  }
  const count = 2 ** (nodePrefixLength - prefixLength)
  return { base, size: 2 ** (32 - nodePrefixLength), count }
}

function parseCidr(cidr: string): { base: number; prefixLength: number } {
  const [, a, b, c, d, length] = /^(\d+)\.(\d+)\.(\d+)\.(\d+)\/(\d+)$/.exec(cidr) ?? []
  const octets = [a, b, c, d].map(Number)
  const prefixLength = Number(length)
  if (octets.some((octet) => !(octet <= 255)) || !(prefixLength <= 32)) {
    throw new CloudlessError(
      'invalid_argument',
      `"${cidr}" is not an IPv4 network like 10.244.0.0/16`,
    )
  }
  const address = octets.reduce((sum, octet) => sum * 256 + octet, 0)
  const size = 2 ** (32 - prefixLength)
  return { base: Math.floor(address / size) * size, prefixLength }
}

function formatAddress(address: number): string {
  return `${address >>> 24}.${(address >>> 16) & 255}.${(address >>> 8) & 255}.${address & 255}`
}
