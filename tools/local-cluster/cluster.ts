/** The parts of the local cluster as objects that find what runs; nothing is started by making them. */
import { join } from 'node:path'
import {
  createAgentOn,
  createCoordinator,
  createCtl,
  createHost,
  type AgentOnHost,
  type CoordinatorProcess,
  type Ctl,
  type Network,
} from '@cloudless/test/testkit'
import { cliConfigOf, coordinatorDirectoryOf, type Settings } from './settings.ts'

/** A node as the CLI prints it; what is used here. */
export interface NodeView {
  readonly name: string
  readonly podCidr?: string
  readonly zone?: string
  readonly status?: { readonly phase?: string }
}

/** A replica as the CLI prints it; what is used here. */
export interface ReplicaView {
  readonly id: string
  readonly nodeName?: string
  readonly address?: string
  readonly ready?: boolean
  readonly state?: string
  readonly message?: string
}

/** A workload as the CLI prints it; what is used here. */
export interface WorkloadView {
  readonly name: string
  readonly status?: {
    readonly message?: string
    readonly desiredReplicas?: number
    readonly readyReplicas?: number
    readonly updatedReplicas?: number
  }
}

export const sampleWorkload = 'simple-web'
export const sampleManifest = 'examples/workloads/simple-web.yaml'

export function coordinatorOf(settings: Settings): CoordinatorProcess {
  return createCoordinator({
    dataDirectory: coordinatorDirectoryOf(settings),
    bindAddresses: [`127.0.0.1:${settings.port}`, `${settings.subnet}.253:${settings.port}`],
    healthAddress: `127.0.0.1:${settings.healthPort}`,
    config: { network: { cluster_cidr: settings.podCidr } },
  })
}

export function agentsOf(settings: Settings, network: Network): AgentOnHost[] {
  return settings.agents.map((agent) => {
    const host = createHost(network, {
      name: agent.name,
      address: agent.address,
      directory: join(settings.home, 'hosts', agent.name),
    })
    return createAgentOn(host, {
      name: agent.name,
      region: settings.region,
      zone: agent.zone,
      labels: agent.labels,
      cpuCores: agent.cpuCores,
      memoryMb: agent.memoryMb,
      coordinator: `${network.legAddress}:${settings.port}`,
    })
  })
}

export function ctlOf(settings: Settings): Ctl {
  return createCtl(cliConfigOf(settings))
}
