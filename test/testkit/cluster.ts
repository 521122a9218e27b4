/** A whole cluster of real programs for one test file: coordinator here, agents on hosts of their own, the CLI. */
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createApiClient, type ApiClient } from './api-client.ts'
import { createAgentOn, type AgentOnHost, type AgentOptions } from './agent-on-host.ts'
import {
  createCoordinator,
  writeCliConfig,
  type CoordinatorProcess,
} from './coordinator-process.ts'
import { createCtl, type Ctl } from './ctl.ts'
import { createHost } from './host.ts'
import { createNetwork, type Network } from './network.ts'
import { buildSimpleWeb, simpleWebImage } from './simple-web.ts'
import { sweep } from './sweep.ts'
import { waitFor } from './wait-for.ts'

export type AgentSpec = Omit<AgentOptions, 'coordinator' | 'config'>

export interface ClusterOptions {
  /** Names everything it makes; another one for each test file. */
  readonly prefix: string
  /** The first three numbers of its /24, another one for each test file. */
  readonly subnet: string
  readonly agents: readonly AgentSpec[]
  readonly coordinatorConfig?: Readonly<Record<string, unknown>>
  readonly agentConfig?: Readonly<Record<string, unknown>>
  /** Put an image into each host; true when not given. */
  readonly withImage?: boolean
  /** Which; the sample web application when not given. */
  readonly image?: ClusterImage
  /**
   * Replicas are reached from this machine. The cluster then has container addresses of its own, 10.97.0.0/16, so that
   * another cluster on this machine keeps its routes.
   */
  readonly reachReplicas?: boolean
}

/** An image of the testkit. */
export interface ClusterImage {
  readonly name: string
  /** Writes it below the directory, an OCI layout as tar; its path. */
  readonly build: (directory: string) => Promise<string>
}

/** A node as the CLI prints it; only what tests look at. */
export interface NodeView {
  readonly id: string
  readonly name: string
  readonly podCidr?: string
  readonly unschedulable?: boolean
  readonly replicaCount?: number
  readonly status?: {
    readonly phase?: string
    readonly message?: string
    readonly conditions?: readonly { readonly type: string; readonly message?: string }[]
  }
}

export interface Cluster {
  readonly directory: string
  readonly network: Network
  readonly coordinator: CoordinatorProcess
  /** Where agents and the CLI reach it. */
  readonly address: string
  readonly ctl: Ctl
  /** Of the API, with the operator's certificate. */
  readonly client: ApiClient
  /** The CLI's configuration file. */
  readonly configFile: string
  /** Of all that were added, in that order. */
  readonly agentNames: readonly string[]
  agent(name: string): AgentOnHost
  nodes(): Promise<readonly NodeView[]>
  waitForPhase(name: string, phase: string, deadlineMs?: number): Promise<NodeView>
  /** Makes a host and an agent on it; it is started, and enrols with a fresh token, unless `start` is false. */
  addAgent(spec: AgentSpec, how?: { readonly start?: boolean }): Promise<AgentOnHost>
  createToken(args?: readonly string[]): Promise<string>
  /** Ends everything and removes every trace. */
  stop(): Promise<void>
}

const coordinatorPort = 8080
const healthPort = 8081
const ownContainerNetwork = { network: { cluster_cidr: '10.97.0.0/16' } }
const simpleWeb: ClusterImage = { name: simpleWebImage, build: buildSimpleWeb }

/** Starts it all; resolves when every agent is READY. Sweeps first what an earlier run of the prefix left. */
export async function startCluster(options: ClusterOptions): Promise<Cluster> {
  await sweep(options.prefix)
  const directory = mkdtempSync(join(tmpdir(), `cloudless-${options.prefix}-`))
  const network = await createNetwork({ prefix: options.prefix, subnet: options.subnet })
  const address = `${network.legAddress}:${coordinatorPort}`
  const coordinator = createCoordinator({
    dataDirectory: join(directory, 'coordinator'),
    bindAddresses: [address],
    healthAddress: `${network.legAddress}:${healthPort}`,
    config: {
      ...(options.reachReplicas === true ? ownContainerNetwork : {}),
      ...options.coordinatorConfig,
    },
  })
  const configFile = join(directory, 'config.yaml')
  const credentialsDirectory = join(directory, 'operator')
  const ctl = createCtl(configFile)
  const agents = new Map<string, AgentOnHost>()
  const { name: imageName, build } = options.image ?? simpleWeb
  let image: Promise<string> | undefined
  let client: ApiClient | undefined

  async function nodes(): Promise<readonly NodeView[]> {
    return ctl.items<NodeView>(['node', 'list'])
  }

  async function waitForPhase(name: string, phase: string, deadlineMs = 20_000): Promise<NodeView> {
    return waitFor(
      async () =>
        (await nodes()).find(
          (node) => node.name === name && node.status?.phase === `NODE_PHASE_${phase}`,
        ),
      {
        what: `node ${name} to be ${phase}`,
        deadlineMs,
        describe: () => describeFailure(name),
      },
    )
  }

  async function describeFailure(name: string): Promise<string> {
    const list = await ctl.run(['node', 'list'])
    const log = agents.get(name)?.log ?? ''
    return `${list.stdout}${list.stderr}${existsSync(log) ? readFileSync(log, 'utf8').slice(-2000) : ''}`
  }

  async function createToken(args: readonly string[] = []): Promise<string> {
    return (await ctl.json<{ token: string }>(['token', 'create', ...args])).token
  }

  async function addAgent(
    spec: AgentSpec,
    how: { readonly start?: boolean } = {},
  ): Promise<AgentOnHost> {
    const host = createHost(network, {
      name: spec.name,
      address: `${options.subnet}.${agents.size + 1}`,
      directory: join(directory, 'hosts', spec.name),
    })
    const agent = createAgentOn(host, {
      ...spec,
      coordinator: address,
      ...(options.agentConfig === undefined ? {} : { config: options.agentConfig }),
    })
    agents.set(spec.name, agent)
    await host.boot()
    if (options.withImage !== false) {
      image ??= build(directory)
      await agent.importImage(imageName, await image)
    }
    if (how.start === false) return agent
    await agent.start(await createToken())
    const node = await waitForPhase(spec.name, 'READY')
    if (node.podCidr) await network.route(node.podCidr, host.address)
    if (node.podCidr && options.reachReplicas === true) await network.routeFromHere(node.podCidr)
    return agent
  }

  async function stop(): Promise<void> {
    await coordinator.kill()
    await sweep(options.prefix)
    rmSync(directory, { recursive: true, force: true })
  }

  const cluster: Cluster = {
    directory,
    network,
    coordinator,
    address,
    ctl,
    get client() {
      client ??= createApiClient(address, credentialsDirectory)
      return client
    },
    configFile,
    get agentNames() {
      return [...agents.keys()]
    },
    agent(name) {
      const agent = agents.get(name)
      if (agent === undefined) throw new Error(`the cluster has no agent ${name}`)
      return agent
    },
    nodes,
    waitForPhase,
    addAgent,
    createToken,
    stop,
  }
  try {
    await coordinator.start()
    await coordinator.issueCredentials('test', credentialsDirectory)
    writeCliConfig(configFile, { name: 'test', coordinator: address, credentialsDirectory })
    await Promise.all(options.agents.map((spec) => addAgent(spec)))
    return cluster
  } catch (reason) {
    await stop()
    throw reason
  }
}
