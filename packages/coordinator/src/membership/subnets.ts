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
 * The first subnet nobody has. The very first is never given: its addresses are too easily mistaken for the network's.
 * Throws `resource_exhausted` when all are taken, `invalid_argument` when the plan is not one.
 */
export function allocateSubnet(plan: SubnetPlan, taken: ReadonlySet<string>): string {
  const { base, prefixLength } = parseCidr(plan.clusterCidr)
  const count = 2 ** (plan.nodePrefixLength - prefixLength)
  const size = 2 ** (32 - plan.nodePrefixLength)
  if (!(plan.nodePrefixLength > prefixLength && plan.nodePrefixLength <= 30)) {
    throw new CloudlessError(
      'invalid_argument',
      `a node's prefix length must be above ${prefixLength} and at most 30, not ${plan.nodePrefixLength}`,
    )
  }
  for (let n = 1; n < count; n++) {
    const subnet = `${formatAddress(base + n * size)}/${plan.nodePrefixLength}`
    if (!taken.has(subnet)) return subnet
  }
  throw new CloudlessError(
    'resource_exhausted',
    `all ${count - 1} node subnets of ${plan.clusterCidr} are taken; remove nodes that are gone`,
  )
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
  return [24, 16, 8, 0].map((shift) => Math.floor(address / 2 ** shift) % 256).join('.')
}
