/** Which subnet of the cluster's container network each node gets. */
import { CloudlessError } from '@cloudless/base'

export interface SubnetPlan {
  /** Such as "10.244.0.0/16". */
  readonly clusterCidr: string
  /** Prefix length of a node's subnet; 24 gives 254 addresses. */
  readonly nodePrefixLength: number
}

export const subnetPlanDefault: SubnetPlan = { clusterCidr: '10.244.0.0/16', nodePrefixLength: 24 }

/**
 * Gives the subnets nobody has, in order and round and round: each search goes on where the last one ended, so that the
 * thousandth node is found one as soon as the first, and what a node that was removed has left is not another's at once.
 * The very first of all is never given: its addresses are too easily mistaken for the network's.
 */
export class Subnets {
  readonly #plan: SubnetPlan
  /** Number of the one that was given last. */
  #last = 0

  constructor(plan: SubnetPlan) {
    this.#plan = plan
  }

  /** Throws `resource_exhausted` when there is none left, `invalid_argument` when the plan is not one. */
  next(isTaken: (subnet: string) => boolean): string {
    const { clusterCidr, nodePrefixLength } = this.#plan
    const { base, size, count } = measuresOf(this.#plan)
    for (let tried = 1; tried < count; tried++) {
      this.#last = (this.#last % (count - 1)) + 1
      const subnet = `${formatAddress(base + this.#last * size)}/${nodePrefixLength}`
      if (!isTaken(subnet)) return subnet
    }
    throw new CloudlessError(
      'resource_exhausted',
      `all ${count - 1} node subnets of ${clusterCidr} are taken; remove nodes that are gone`,
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
