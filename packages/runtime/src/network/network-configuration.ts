/** The configurations our CNI plugins are given. */
import type { Port } from '@cloudless/api'

const cniVersion = '1.0.0'
const networkName = 'cloudless'

export interface PortMapping {
  readonly hostPort: number
  readonly containerPort: number
  readonly protocol: 'tcp' | 'udp'
}

export function bridgeConfiguration(options: {
  readonly bridgeName: string
  readonly podCidr: string
  /** Where host-local keeps which addresses are taken; on tmpfs, as a reboot frees them all. */
  readonly addressDirectory: string
  readonly mtu: number | undefined
  readonly address: string | undefined
}): Readonly<Record<string, unknown>> {
  const prefixLength = options.podCidr.split('/')[1] ?? '24'
  return {
    cniVersion,
    name: networkName,
    bridge: options.bridgeName,
    isGateway: true,
    // A node that is removed and enrols again may be given another subnet, on a bridge that is still there.
    forceAddress: true,
    // One rule for the whole subnet does this for all containers; the plugin would add rules for each.
    ipMasq: false,
    hairpinMode: true,
    ...(options.mtu === undefined ? {} : { mtu: options.mtu }),
    ipam: {
      type: 'host-local',
      ranges: [[{ subnet: options.podCidr }]],
      routes: [{ dst: '0.0.0.0/0' }],
      dataDir: options.addressDirectory,
    },
    ...(options.address === undefined
      ? {}
      : { args: { cni: { ips: [`${options.address}/${prefixLength}`] } } }),
  }
}

export function portmapConfiguration(
  mappings: readonly PortMapping[],
): Readonly<Record<string, unknown>> {
  return {
    cniVersion,
    name: networkName,
    snat: true,
    capabilities: { portMappings: true },
    runtimeConfig: { portMappings: mappings },
  }
}

export function portMappingsOf(ports: readonly Port[]): readonly PortMapping[] {
  return ports
    .filter((port) => port.hostPort > 0)
    .map((port) => ({
      hostPort: port.hostPort,
      containerPort: port.containerPort,
      protocol: port.protocol.toUpperCase() === 'UDP' ? 'udp' : 'tcp',
    }))
}
