/**
 * `make up`: brings the local cluster to where it should be, whatever is there already. Each step looks first and does
 * only what is missing, so a second run, a run after a reboot and a run after kill -9 of any part are the same thing.
 */
import { X509Certificate } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { CloudlessError, messageOf, systemClock } from '@cloudless/base'
import {
  buildSimpleWeb,
  createNetwork,
  disksInUse,
  openWayOut,
  runCommand,
  simpleWebImage,
  waitFor,
  writeCliConfig,
  type AgentOnHost,
  type CoordinatorProcess,
  type Ctl,
  type Network,
} from '@cloudless/test/testkit'
import { agentsOf, coordinatorOf, ctlOf, sampleManifest, type NodeView } from './cluster.ts'
import { foreignRoute } from './foreign-route.ts'
import type { Progress } from './progress.ts'
import { applySample } from './sample.ts'
import { cliConfigOf, coordinatorDirectoryOf, type Settings } from './settings.ts'
import { summarize } from './summary.ts'

export async function bringUp(settings: Settings, progress: Progress): Promise<void> {
  refuseAnotherHome(settings)
  await refuseForeignRoutes(settings)
  mkdirSync(settings.home, { recursive: true, mode: 0o700 })
  const coordinator = coordinatorOf(settings)
  const ctl = ctlOf(settings)
  const network = await progress.step('network', async () => {
    const made = await createNetwork({ prefix: settings.prefix, subnet: settings.subnet })
    await openWayOut(made)
    return made
  })
  const agents = agentsOf(settings, network)

  const hosts = Promise.all(agents.map((agent) => agent.host.boot()))
  const image = buildSimpleWeb(settings.home)
  // Awaited below, each in the step that shows it; a failure before that must not go unnoticed.
  hosts.catch(() => undefined)
  image.catch(() => undefined)

  await progress.step('coordinator', () => startCoordinator(settings, coordinator))
  await progress.step('three hosts, each with a containerd', async () => void (await hosts))
  await progress.step('sample image', async () => {
    const tar = await image
    await Promise.all(agents.map((agent) => agent.importImage(simpleWebImage, tar)))
  })
  await progress.step('three agents', () => startAgents(agents, ctl))
  await progress.step('routes to the containers', () => routeToContainers(network, agents, ctl))
  await progress.step(`sample workload (${sampleManifest})`, () => applySample(ctl))
  progress.say(await summarize(settings, ctl))
}

/** The same names would be used twice. */
function refuseAnotherHome(settings: Settings): void {
  const other = disksInUse(settings.prefix).find((disk) => !disk.startsWith(`${settings.home}/`))
  if (other === undefined) return
  throw new CloudlessError(
    'failed_precondition',
    `another local cluster is running from ${join(other, '..', '..')}. Stop it there with \`make down\`, ` +
      'or give this one a home, names, networks and ports of its own:\n' +
      '  export CLOUDLESS_PREFIX=second CLOUDLESS_SUBNET=10.67.0 CLOUDLESS_POD_CIDR=10.245.0.0/16\n' +
      '  export CLOUDLESS_PORT=8180 CLOUDLESS_HEALTH_PORT=8181\n' +
      '  make up',
  )
}

/** What else uses the containers' addresses on this machine would be cut off by our routes, or we by its. */
async function refuseForeignRoutes(settings: Settings): Promise<void> {
  const listed = await runCommand(['ip', 'route', 'show', 'root', settings.podCidr])
  const foreign = foreignRoute(listed.stdout, `${settings.prefix}0`)
  if (foreign === undefined) return
  throw new CloudlessError(
    'failed_precondition',
    `the containers' network ${settings.podCidr} is in use on this machine: \`ip route\` shows "${foreign}". ` +
      'Give the containers another, on a cluster without data: CLOUDLESS_POD_CIDR=10.245.0.0/16 make up',
  )
}

async function startCoordinator(
  settings: Settings,
  coordinator: CoordinatorProcess,
): Promise<void> {
  try {
    await coordinator.start()
  } catch (reason) {
    throw new CloudlessError(
      'failed_precondition',
      `${messageOf(reason)}\nIts log: ${coordinator.log}. Its ports are ${settings.port} and ` +
        `${settings.healthPort}; for others: CLOUDLESS_PORT=8180 CLOUDLESS_HEALTH_PORT=8181 make up`,
      { cause: reason },
    )
  }
  const credentialsDirectory = join(settings.home, 'operator')
  const authority = join(coordinatorDirectoryOf(settings), 'ca', 'ca.crt')
  if (!isGoodForADay(join(credentialsDirectory, 'cert.pem'), authority)) {
    await coordinator.issueCredentials('admin', credentialsDirectory)
  }
  writeCliConfig(cliConfigOf(settings), {
    name: 'local',
    coordinator: `127.0.0.1:${settings.port}`,
    credentialsDirectory,
  })
}

/** Not when the coordinator's data, and with them its CA, are newer. */
function isGoodForADay(certificateFile: string, authorityFile: string): boolean {
  if (!existsSync(certificateFile) || !existsSync(authorityFile)) return false
  const certificate = new X509Certificate(readFileSync(certificateFile))
  const authority = new X509Certificate(readFileSync(authorityFile))
  const lifeLeftMs = certificate.validToDate.getTime() - systemClock.wallMs()
  return lifeLeftMs > 86_400_000 && certificate.verify(authority.publicKey)
}

async function startAgents(agents: readonly AgentOnHost[], ctl: Ctl): Promise<void> {
  const known = await ctl.items<NodeView>(['node', 'list'])
  await Promise.all(
    agents.map(async (agent) => {
      const isKnown = known.some((node) => node.name === agent.name)
      if (isKnown && agent.isEnrolled()) return agent.start()
      // Its disk was lost, or it was stopped between enrolling and writing that down: the name is to be used again.
      if (isKnown) await ctl.text(['node', 'remove', agent.name, '--force'])
      // Somebody removed the node, or the coordinator's data are new: what it holds is worth nothing any more.
      else if (agent.isEnrolled()) await agent.disenrol()
      const scope = ['--node', agent.name, '--ttl', '10m']
      await agent.start((await ctl.json<{ token: string }>(['token', 'create', ...scope])).token)
    }),
  )
  await waitFor(
    async () => {
      const nodes = await ctl.items<NodeView>(['node', 'list'])
      return agents.every((agent) =>
        nodes.some((node) => node.name === agent.name && isConnected(node)),
      )
    },
    {
      what: 'the three agents to be ready',
      deadlineMs: 30_000,
      describe: async () =>
        `${(await ctl.run(['node', 'list'])).stdout}\nTheir logs: ${agents.map(({ log }) => log).join(' ')}`,
    },
  )
}

/** Also one that somebody cordoned or drained is where it should be. */
function isConnected(node: NodeView): boolean {
  return ['READY', 'CORDONED', 'DRAINING'].some(
    (phase) => node.status?.phase === `NODE_PHASE_${phase}`,
  )
}

async function routeToContainers(
  network: Network,
  agents: readonly AgentOnHost[],
  ctl: Ctl,
): Promise<void> {
  for (const node of await ctl.items<NodeView>(['node', 'list'])) {
    const agent = agents.find(({ name }) => name === node.name)
    if (agent === undefined || !node.podCidr) continue
    await network.route(node.podCidr, agent.host.address)
    await network.routeFromHere(node.podCidr)
  }
}
