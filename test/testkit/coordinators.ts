/** A cluster of several coordinators, each on a pretend machine of its own, with agents and the CLI. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createAgentOn, type AgentOnHost } from './agent-on-host.ts'
import { createApiClient, type ApiClient } from './api-client.ts'
import type { AgentSpec } from './cluster.ts'
import { createCoordinatorOn, type CoordinatorOnHost } from './coordinator-on-host.ts'
import { writeCliConfig } from './coordinator-process.ts'
import { createCtl, type Ctl } from './ctl.ts'
import { createHost } from './host.ts'
import { createNetwork, type Network } from './network.ts'
import { buildSimpleWeb, simpleWebImage } from './simple-web.ts'
import { sweep } from './sweep.ts'
import { waitFor } from './wait-for.ts'

export interface CoordinatorsOptions {
  /** Names everything it makes; another one for each test file. */
  readonly prefix: string
  /** The first three numbers of its /24, another one for each test file. */
  readonly subnet: string
  readonly agents?: readonly AgentSpec[]
  /** 3 when not given. */
  readonly count?: number
  readonly config?: Readonly<Record<string, unknown>>
  /** Put the sample application into each host; true when not given. */
  readonly withImage?: boolean
}

export interface Coordinators {
  readonly directory: string
  readonly network: Network
  readonly all: readonly CoordinatorOnHost[]
  /** "host:port" of all. */
  readonly addresses: readonly string[]
  /** Knows all of them. */
  readonly ctl: Ctl
  agent(name: string): AgentOnHost
  /** Speaks with that coordinator only. */
  client(coordinator: CoordinatorOnHost): ApiClient
  /** New connections, one to each coordinator in their order, of one more client. */
  clients(): readonly ApiClient[]
  /** Which one leads, as one of those that answer says. Waits until one does. */
  leader(): Promise<CoordinatorOnHost>
  followers(): Promise<readonly CoordinatorOnHost[]>
  /** Another machine with a coordinator on it, that is not started. */
  addCoordinator(): Promise<CoordinatorOnHost>
  createToken(args?: readonly string[]): Promise<string>
  waitUntilAllAreWell(): Promise<void>
  /** Ends everything and removes every trace. */
  stop(): Promise<void>
}

/** A machine that vanished sends nothing that would end a connection. */
const pingMs = 1_000

interface CoordinatorView {
  readonly id: string
  readonly isLeader?: boolean
}

/** Resolves when all coordinators have a vote and all agents are READY. */
export async function startCoordinators(options: CoordinatorsOptions): Promise<Coordinators> {
  await sweep(options.prefix)
  const directory = mkdtempSync(join(tmpdir(), `cloudless-${options.prefix}-`))
  const network = await createNetwork({ prefix: options.prefix, subnet: options.subnet })
  const all: CoordinatorOnHost[] = []
  const agents = new Map<string, AgentOnHost>()
  const clients = new Map<string, ApiClient>()
  const credentialsDirectory = join(directory, 'operator')
  const configFile = join(directory, 'config.yaml')
  const ctl = createCtl(configFile)

  async function addCoordinator(): Promise<CoordinatorOnHost> {
    const n = all.length + 1
    const host = createHost(network, {
      name: `c${n}`,
      address: `${options.subnet}.${n}`,
      directory: join(directory, 'hosts', `c${n}`),
    })
    const { config } = options
    const coordinator = createCoordinatorOn(host, { id: `c${n}`, ...(config && { config }) })
    all.push(coordinator)
    await host.boot()
    return coordinator
  }

  function client(coordinator: CoordinatorOnHost): ApiClient {
    const known = clients.get(coordinator.id)
    if (known !== undefined) return known
    const made = createApiClient(coordinator.address, credentialsDirectory)
    clients.set(coordinator.id, made)
    return made
  }

  async function leader(): Promise<CoordinatorOnHost> {
    return waitFor(
      async () => {
        const { items = [] } = await members()
        const id = items.find(({ isLeader }) => isLeader)?.id
        return all.find((one) => one.id === id)
      },
      { what: 'one of the coordinators to lead', deadlineMs: 20_000 },
    )
  }

  async function members(): Promise<{ readonly items?: readonly CoordinatorView[] }> {
    const { code, stdout } = await ctl.run(['cluster', 'members', '-o', 'json'])
    return code === 0 ? (JSON.parse(stdout) as { items?: CoordinatorView[] }) : {}
  }

  async function createToken(args: readonly string[] = []): Promise<string> {
    return (await ctl.json<{ token: string }>(['token', 'create', ...args])).token
  }

  async function addAgent(spec: AgentSpec, image: string | undefined): Promise<void> {
    const host = createHost(network, {
      name: spec.name,
      address: `${options.subnet}.${100 + agents.size}`,
      directory: join(directory, 'hosts', spec.name),
    })
    const coordinator = all.map(({ address }) => address).join(',')
    const agent = createAgentOn(host, { ...spec, coordinator })
    agents.set(spec.name, agent)
    await host.boot()
    if (image !== undefined) await agent.importImage(simpleWebImage, image)
    await agent.start(await createToken())
  }

  const cluster: Coordinators = {
    directory,
    network,
    all,
    get addresses() {
      return all.map(({ address }) => address)
    },
    ctl,
    agent(name) {
      const agent = agents.get(name)
      if (agent === undefined) throw new Error(`the cluster has no agent ${name}`)
      return agent
    },
    client,
    clients: () =>
      all.map(({ address }) => createApiClient(address, credentialsDirectory, { pingMs })),
    leader,
    async followers() {
      const leading = await leader()
      return all.filter((one) => one !== leading)
    },
    addCoordinator,
    createToken,
    waitUntilAllAreWell: () =>
      waitFor(async () => (await ctl.run(['cluster', 'health'])).code === 0, {
        what: 'all coordinators to be well',
        deadlineMs: 60_000,
        describe: async () => (await ctl.run(['cluster', 'members'])).stdout,
      }).then(() => undefined),
    async stop() {
      await sweep(options.prefix)
      rmSync(directory, { recursive: true, force: true })
    },
  }
  try {
    const count = options.count ?? 3
    for (let n = 0; n < count; n++) await addCoordinator()
    const [first, ...others] = all
    await first!.start(['--raft-bootstrap'])
    await first!.issueCredentials('test', credentialsDirectory)
    const coordinator = all.map(({ address }) => address).join(',')
    writeCliConfig(configFile, { name: 'test', coordinator, credentialsDirectory })
    for (const other of others) {
      await other.start(['--token', await createToken(['--for-coordinator'])])
    }
    const specs = options.agents ?? []
    const withImage = specs.length > 0 && options.withImage !== false
    const image = withImage ? await buildSimpleWeb(directory) : undefined
    await Promise.all(specs.map((spec) => addAgent(spec, image)))
    await waitFor(async () => (await readyNodes(ctl)) === specs.length, {
      what: 'all agents to be ready',
      deadlineMs: 20_000,
    })
    return cluster
  } catch (reason) {
    await cluster.stop()
    throw reason
  }
}

async function readyNodes(ctl: Ctl): Promise<number> {
  const nodes = await ctl.items<{ readonly status?: { readonly phase?: string } }>(['node', 'list'])
  return nodes.filter(({ status }) => status?.phase === 'NODE_PHASE_READY').length
}
