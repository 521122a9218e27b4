/**
 * The coordinator put together: what it stands on, its doors, and its part in leading the cluster. Nothing is decided here.
 *
 * Opened in the order in which each needs the one before, and closed in the opposite order.
 */
import type { Coordinator as CoordinatorMessage } from '@cloudless/api'
import { formatAddress, type Clock } from '@cloudless/base'
import type { Credentials } from '@cloudless/identity'
import { createProfiler } from '@cloudless/observability'
import { coordinatorAddresses } from '../membership/coordinator-addresses.ts'
import { LoopLoad } from '../membership/loop-load.ts'
import { nodesGivenUp } from '../membership/nodes-given-up.ts'
import { describeCoordinator } from '../raft/describe-coordinator.ts'
import { createRecovery } from '../raft/recovery.ts'
import { OtherCoordinators } from '../raft/other-coordinators.ts'
import { AgentGateway } from '../server/agent-gateway.ts'
import { startApiServer, type ApiServer, type ApiServerDeps } from '../server/api-server.ts'
import { issueServerCertificate } from '../server/server-certificate.ts'
import type { RecordChange } from '../state/cluster-state.ts'
import { CallRoute } from './call-route.ts'
import { refreshGauges, refreshStoreGauges } from './cluster-gauges.ts'
import type { EngineKind } from './engine.ts'
import { openFoundation, type Foundation, type FoundationDeps } from './foundation.ts'
import { leadAlone, SharedLeadership, type Leadership, type LeadershipDeps } from './leadership.ts'
import { optionsOf, type CoordinatorOptions } from './options.ts'
import type { CoordinatorSettings } from './settings.ts'
import { beginTermOfOffice, type TermOfOffice } from './term-of-office.ts'

export type CoordinatorDeps = FoundationDeps

export interface Coordinator {
  /** "host:port" of the API. */
  readonly addresses: readonly string[]
  /** Rejects when it can no longer do its work, and should be started anew. */
  readonly failed: Promise<never>
  /** Resolves when an operator wants the metadata elsewhere: it is to be closed, and started anew from there. */
  readonly engineWanted: Promise<EngineKind>
  /** Ends sessions and calls, finishes writes, closes the store. */
  close(): Promise<void>
}

export async function startCoordinator(
  deps: CoordinatorDeps,
  settings: CoordinatorSettings,
): Promise<Coordinator> {
  await using opened = new AsyncDisposableStack() // Closes again what was opened before something failed.
  const options = optionsOf(settings)
  const foundation = await openFoundation(deps, settings, opened)
  const engineWanted = Promise.withResolvers<EngineKind>()
  const addresses = await open(foundation, options, opened, engineWanted.resolve)
  const all = opened.move()
  return {
    addresses,
    failed: foundation.failed,
    engineWanted: engineWanted.promise,
    close: () => all.disposeAsync(),
  }
}

async function open(
  foundation: Foundation,
  options: CoordinatorOptions,
  opened: AsyncDisposableStack,
  wantEngine: (kind: EngineKind) => void,
): Promise<string[]> {
  const { clock, random, observed, authority, raft } = foundation
  const startedAtMs = clock.wallMs()
  const office = new CurrentOffice()
  const load = new LoopLoad(foundation)
  opened.defer(() => load.close())
  const gateway = new AgentGateway({
    clock,
    random,
    requestDialBack: (nodeId, connectionId) =>
      office.current?.control.sessions.requestDialBack(nodeId, connectionId) ?? false,
  })
  const route = new CallRoute(clock)
  const server = await openDoors(foundation, { gateway, route, office }, options, opened)
  const addresses = server.addresses.map(formatAddress)
  observed.serving(addresses)

  const describe = (): CoordinatorMessage =>
    describeCoordinator(foundation, {
      id: options.server.coordinatorId,
      clusterId: foundation.cluster.clusterId,
      addresses: options.advertised,
      startedAtMs,
      isLeader: () => leadership.isLeader,
      raft,
    })
  const credentials = async (): Promise<Credentials> =>
    (await issueServerCertificate(foundation, options.server)).credentials
  const recover = createRecovery({
    member: raft?.member,
    coordinatorId: options.server.coordinatorId,
    clusterId: foundation.cluster.clusterId,
    state: foundation.state,
    store: foundation.unfencedStore,
    onRecovered: (removed) => observed.coordinatorRecovered(removed),
  })
  const term = {
    ...foundation,
    ...{ load, gateway, describe, recover, wantEngine },
    others: new OtherCoordinators({ trustDomain: authority.trustDomain, credentials }),
    closeConnectionsOf: (nodeId: string) => server.closeConnectionsOf(nodeId),
    handOver: (successorId: string) => leadership.handOver(successorId),
  }
  const leadership: Leadership = takePart(
    {
      ...foundation,
      ...{ route, server, describe, recover, credentials },
      begin: ({ isTakeover }) =>
        beginTermOfOffice(term, isTakeover ? afterTakeover(options) : options),
      onOffice: (current) => {
        office.current = current
      },
    },
    options,
  )
  opened.defer(() => leadership.close())
  return addresses
}

function afterTakeover(options: CoordinatorOptions): CoordinatorOptions {
  const { liveness, takeoverGraceMs } = options
  return { ...options, liveness: { ...liveness, returnGraceMs: takeoverGraceMs } }
}

function takePart(deps: LeadershipDeps, options: CoordinatorOptions): Leadership {
  if (deps.fence === undefined) return leadAlone(deps)
  return new SharedLeadership(deps, {
    coordinatorId: options.server.coordinatorId,
    addresses: options.advertised,
    leaseMs: options.leaseMs,
  })
}

/** What is decided here now, if anything. */
class CurrentOffice {
  current: TermOfOffice | undefined
}

async function openDoors(
  foundation: Foundation,
  parts: {
    readonly gateway: AgentGateway
    readonly route: CallRoute
    readonly office: CurrentOffice
  },
  options: CoordinatorOptions,
  opened: AsyncDisposableStack,
): Promise<ApiServer> {
  const { clock, random, state, store, observed, authority } = foundation
  const { gateway, route, office } = parts
  const { metrics } = observed
  // Calls that wait for a node which is given up end now, and not when its silent connection does.
  const hangUp = (changes: readonly RecordChange[]): void => {
    for (const nodeId of nodesGivenUp(changes)) gateway.disconnect(nodeId)
  }
  opened.defer(state.listen(hangUp))
  let coordinators = coordinatorAddresses(state, options.advertised)
  const look = (changes: readonly RecordChange[]): void => {
    if (!changes.some(({ kind }) => kind === 'coordinator')) return
    coordinators = coordinatorAddresses(state, options.advertised)
  }
  opened.defer(state.listen(look))
  metrics.beforeExpose(() => {
    const control = office.current?.control
    if (control === undefined) return
    const queueDepth = (): number => control.placement.queueDepth
    refreshGauges({ ...control, metrics, state, queueDepth })
  })
  const server = await startApiServer(
    {
      clock,
      random,
      ca: authority,
      gateway,
      observer: observed.calls,
      readiness: observed.readiness,
      metrics: async () => {
        await refreshStoreGauges(metrics, store)
        const { contentType, body } = await metrics.expose()
        return { contentType, text: body }
      },
      ...(options.profiling ? { profile: profileOf(clock, opened) } : {}),
      forward: (call) => route.take(call),
      coordinators: () => coordinators,
      services: [],
      isRemoved: (nodeId) => state.get('removed', nodeId) !== undefined,
      isUnknown: (nodeId) => state.get('node', nodeId) === undefined,
    },
    options.server,
  )
  opened.defer(() => server.close())
  return server
}

/** What is being taken when the coordinator closes is given up. */
function profileOf(
  clock: Clock,
  opened: AsyncDisposableStack,
): NonNullable<ApiServerDeps['profile']> {
  const closing = new AbortController()
  opened.defer(() => closing.abort())
  const profiler = createProfiler({ clock })
  return (kind, durationMs) => profiler.take(kind, { durationMs, signal: closing.signal })
}
