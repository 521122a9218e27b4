/**
 * The coordinator put together: store and state, membership and controllers, API. Nothing is decided here.
 *
 * Opened in the order in which each needs the one before, and closed in the opposite order.
 */
import { formatAddress, type Clock } from '@cloudless/base'
import { createProfiler } from '@cloudless/observability'
import { ReleasedFragments } from '../api/fragments.ts'
import { locateContainer } from '../api/locate-container.ts'
import { LoopLoad } from '../membership/loop-load.ts'
import { isGone } from '../membership/is-gone.ts'
import { nodesGivenUp } from '../membership/nodes-given-up.ts'
import { createAgentForwarding } from '../server/agent-forwarding.ts'
import { AgentGateway } from '../server/agent-gateway.ts'
import { startApiServer, type ApiServer, type ApiServerDeps } from '../server/api-server.ts'
import { Idempotency } from '../server/idempotency.ts'
import type { ServedService } from '../server/rpc-handler.ts'
import type { RecordChange } from '../state/cluster-state.ts'
import { withCallScope } from './call-scope.ts'
import { refreshGauges, refreshStoreGauges } from './cluster-gauges.ts'
import { startControlPlane, type ControlPlane } from './control-plane.ts'
import { openFoundation, type Foundation, type FoundationDeps } from './foundation.ts'
import { createHandlers } from './handlers.ts'
import { optionsOf, type CoordinatorOptions } from './options.ts'
import { coordinatorServices } from './services.ts'
import type { CoordinatorSettings } from './settings.ts'
import { sweepNowAndThen } from './sweep.ts'

export type CoordinatorDeps = FoundationDeps

export interface Coordinator {
  /** "host:port" of the API. */
  readonly addresses: readonly string[]
  /** Rejects when it can no longer do its work, and should be started anew. */
  readonly failed: Promise<never>
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
  const load = new LoopLoad(foundation)
  opened.defer(() => load.close())
  const control = startControlPlane({ ...foundation, load }, options, opened)
  const server = await openDoors(foundation, control, options, opened)
  const addresses = server.addresses.map(formatAddress)
  foundation.observed.serving(addresses)
  const all = opened.move()
  return {
    addresses,
    failed: foundation.failed,
    close: () => all.disposeAsync(),
  }
}

async function openDoors(
  foundation: Foundation,
  control: ControlPlane,
  options: CoordinatorOptions,
  opened: AsyncDisposableStack,
): Promise<ApiServer> {
  const { clock, random, state, store, observed, authority } = foundation
  const { sessions, nodeView, placement, autoscalingOf, massLoss } = control
  const { metrics, report } = observed
  const gateway = new AgentGateway({
    clock,
    random,
    requestDialBack: (nodeId, connectionId) => sessions.requestDialBack(nodeId, connectionId),
  })
  // Calls that wait for a node which is given up end now, and not when its silent connection does.
  const hangUp = (changes: readonly RecordChange[]): void => {
    for (const nodeId of nodesGivenUp(changes)) gateway.disconnect(nodeId)
  }
  opened.defer(state.listen(hangUp))
  const idempotency = new Idempotency({ store, clock })
  const released = new ReleasedFragments({ state, clock })
  opened.defer(() => released.close())
  opened.defer(sweepNowAndThen({ clock, state, idempotency, report }))
  const queueDepth = (): number => placement.queueDepth
  const gauges = { metrics, state, nodeView, queueDepth, autoscalingOf, massLoss }
  metrics.beforeExpose(() => refreshGauges(gauges))

  const closeConnectionsOf = (nodeId: string): void => server.closeConnectionsOf(nodeId)
  const services = [
    ...coordinatorRpcs(
      { ...foundation, ...control, idempotency, released, closeConnectionsOf },
      options,
    ),
    createAgentForwarding({
      locate: (target) => locateContainer(state, target),
      clientFor: (nodeId, signal) => gateway.clientFor(nodeId, signal),
    }),
  ]
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
      services: services.map(withCallScope),
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

function coordinatorRpcs(
  deps: Foundation &
    ControlPlane & {
      readonly idempotency: Idempotency
      readonly released: ReleasedFragments
      readonly closeConnectionsOf: (nodeId: string) => void
    },
  options: CoordinatorOptions,
): ServedService[] {
  const { liveNodes, clock } = deps
  return coordinatorServices({
    ...deps,
    handlers: createHandlers(deps, options),
    enrolment: {
      ...deps,
      isGone: (node) => isGone(node, liveNodes.get(node.node!.id)?.liveness, clock.wallMs()),
    },
    enrolmentOptions: options.enrolment,
  })
}
