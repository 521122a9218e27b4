/** `agent run`: makes the agent's parts from the configuration, serves until told to stop, and leaves in order. */
import { flushCompileCache } from 'node:module'
import { systemClock, systemRandom, CloudlessError, version, type ErrorCode } from '@cloudless/base'
import {
  buildFacts,
  createAgentMetrics,
  createLogger,
  createObservingInterceptor,
} from '@cloudless/observability'
import { createContainerdRuntime } from '@cloudless/runtime'
import { Agent } from '../agent.ts'
import type { EnrolmentMaterial } from '../membership/enrolment-material.ts'
import type { MembershipEnd } from '../membership/membership.ts'
import { capacityOf } from '../resources/capacity.ts'
import { CapabilityWatch } from '../resources/capability-watch.ts'
import { detectBootId, detectCapabilities, detectCapacity } from '../resources/detect.ts'
import { ProbeHealthBoard } from '../service/probe-health-board.ts'
import { listenDirectly } from './direct-listener.ts'
import { listenForEndpoints, type EndpointSources } from './http-endpoints.ts'
import { joinTokenOf } from './join-token.ts'
import { exitCodes } from './exit-codes.ts'
import type { AgentSettings } from './settings.ts'
import { replicaMetrics } from './metrics-adapter.ts'
import * as optionsOf from './options-of.ts'

const clock = systemClock
const random = systemRandom
/** The shutdown as a whole; what is not done by then is left to the next start. */
const shutdownMsMax = 10_000
const runtimeVersionMsMax = 2_000
/** By then everything that an ordinary day needs has been loaded. */
const compiledAfterMs = 10_000

/** The data directory is locked by the caller. Resolves with the exit code. */
export async function run(
  settings: AgentSettings,
  enrolmentMaterial: Promise<EnrolmentMaterial> | undefined,
): Promise<number> {
  const logger = createLogger({ name: 'agent', level: settings.log_level })
  exitOnCrash((message) => logger.fatal({}, message))
  const runtime = createContainerdRuntime(
    { clock, random, logger: logger.child('runtime') },
    optionsOf.runtimeOptionsOf(settings),
  )
  const metrics = createAgentMetrics({ clock }, buildFacts())
  const probeHealth = new ProbeHealthBoard(clock)
  const [detected, bootId] = await Promise.all([
    detectCapacity(clock, settings.data_dir),
    detectBootId(),
  ])
  const capabilities = await CapabilityWatch.open({
    clock,
    logger,
    detect: async () => {
      const asked = within(runtimeVersionMsMax, runtime.version())
      const runtimeVersion = await asked.catch(() => '') // Said by the supervisor.
      return detectCapabilities({
        runtimeVersion,
        gpuCount: detected.gpuModels.length,
        meteredLink: optionsOf.meteredLinkOf(settings),
        policy: runtime.hostPolicy,
      })
    },
  })
  const overrides = optionsOf.overridesOf(settings)
  const agent = new Agent(
    {
      clock,
      random,
      logger,
      runtime,
      metrics: replicaMetrics(metrics, probeHealth),
      probeHealth,
      capabilities,
      interceptors: [
        createObservingInterceptor({
          clock,
          random,
          logger: logger.child('rpc'),
          metrics: metrics.grpc,
        }),
      ],
    },
    {
      dataDirectory: settings.data_dir,
      nodeName: optionsOf.nodeNameOf(settings),
      region: settings.region,
      zone: settings.zone,
      labels: settings.labels,
      taints: optionsOf.taintsOf(settings),
      joinToken: joinTokenOf(settings),
      ...(enrolmentMaterial === undefined ? {} : { enrolmentMaterial }),
      coordinators: settings.coordinator_addr,
      trustDomain: settings.trust_domain,
      capacity: capacityOf(detected, overrides),
      overrides,
      reserve: optionsOf.reserveOf(settings),
      bootId,
      bridgeName: settings['network.bridge'],
      probesEnabled: settings['agent.enable_health_probes'],
      startConcurrency: settings['container.start_concurrency'],
      heartbeatMsMax: settings.heartbeat_interval,
      reversedIdleMs: settings['agent.reversed_idle'],
    },
  )
  metrics.beforeExpose(() => {
    const running = [...agent.supervisor.replicas()].filter(
      ({ state }) => state.stage === 'running',
    )
    metrics.containers.running.set({ node_id: agent.nodeId }, running.length)
  })
  const stopped = stopOnSignal(async (signal) => {
    logger.info({ signal }, `${signal}: leaving; containers stay`)
    await agent.stop(signal)
  })
  const closeEndpoints = await openEndpoints(settings, agent, metrics.expose)
  const cancelFlush = clock.after(compiledAfterMs, flushCompileCache)
  logger.info({ version }, `agent ${version} starts`)
  try {
    const end = await agent.run()
    if (end.kind === 'left') await stopped()
    else await agent.close()
    return exitCodeOf(end, (message) => logger.error({}, message))
  } catch (reason) {
    const error = CloudlessError.from(reason)
    logger.error({ code: error.code }, error.message)
    await agent.close()
    return refusals.has(error.code) ? exitCodes.refused : exitCodes.failed
  } finally {
    cancelFlush()
    closeEndpoints()
    capabilities.close()
    await runtime.close()
  }
}

/** Somebody has to act on these: starting again will not help. */
const refusals: ReadonlySet<ErrorCode> = new Set([
  'unauthenticated',
  'permission_denied',
  'already_exists',
  'invalid_argument',
  'failed_precondition',
])

function exitCodeOf(end: MembershipEnd, say: (message: string) => void): number {
  if (end.kind === 'left') return exitCodes.ok
  if (end.reason === 'superseded') {
    say(`another agent runs with this node's identity, this one ends: ${end.message}`)
    return exitCodes.superseded
  }
  say(
    `this node was removed from the cluster: ${end.message.replace(/\.$/, '')}. ` +
      'Its containers are stopped; ' +
      'to join again, start it with a new --join-token',
  )
  return exitCodes.removed
}

async function openEndpoints(
  settings: AgentSettings,
  agent: Agent,
  expose: () => Promise<{ readonly contentType: string; readonly body: string }>,
): Promise<() => void> {
  const sources: EndpointSources = {
    notReady: () => {
      if (!agent.supervisor.runtimeReady) return 'the container runtime does not answer'
      return agent.connected ? undefined : 'no session with a coordinator'
    },
    metrics: expose,
  }
  const closers: (() => void)[] = []
  const { agent_addr: direct, health_addr: health, metrics_addr: metrics } = settings
  if (health !== '') {
    const names = metrics === health ? (['health', 'metrics'] as const) : (['health'] as const)
    const server = await listenForEndpoints(health, names, sources)
    closers.push(() => server.close())
  }
  if (metrics !== '' && metrics !== health) {
    const server = await listenForEndpoints(metrics, ['metrics'], sources)
    closers.push(() => server.close())
  }
  if (direct !== '') {
    let closed = false
    closers.push(() => (closed = true))
    // There is no certificate to show before the enrolment.
    const open = async (): Promise<void> => {
      const { trust_domain: trustDomain } = settings
      await agent.enrolled
      if (closed) return
      const listener = await listenDirectly(
        {
          clock,
          handler: agent.handler,
          credentials: () => agent.credentials!,
          endpoints: sources,
        },
        { address: direct, trustDomain },
      )
      closers.push(() => listener.close())
    }
    open().catch((reason: unknown) => {
      // As with any failed start: say it and end.
      queueMicrotask(() => {
        throw reason
      })
    })
  }
  return () => {
    for (const close of closers) close()
  }
}

/** The first signal leaves in order, within ten seconds; the returned function waits for that to be done. */
function stopOnSignal(stop: (signal: string) => Promise<void>): () => Promise<void> {
  let stopping: Promise<void> | undefined
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.once(signal, () => {
      const giveUp = clock.after(shutdownMsMax, () => process.exit(exitCodes.ok))
      stopping ??= stop(signal).finally(giveUp)
    })
  }
  return async () => await stopping
}

function exitOnCrash(say: (message: string) => void): void {
  const crash = (reason: unknown): void => {
    const text = reason instanceof Error ? (reason.stack ?? reason.message) : String(reason)
    say(`the agent crashed: ${text}`)
    process.exit(exitCodes.failed)
  }
  process.on('uncaughtException', crash)
  process.on('unhandledRejection', crash)
}

function within<T>(limitMs: number, promise: Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const cancel = clock.after(limitMs, () => reject(new CloudlessError('deadline_exceeded', '')))
    promise.then(resolve, reject).finally(cancel)
  })
}
