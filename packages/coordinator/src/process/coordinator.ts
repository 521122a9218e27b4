/**
 * The coordinator put together: store, state, membership, controllers, API. Nothing is decided here.
 *
 * Opened in the order in which each needs the one before, and closed in the opposite order.
 */
import { isIP } from 'node:net'
import { networkInterfaces, hostname } from 'node:os'
import { create } from '@bufbuild/protobuf'
import { ClusterRecordSchema, NodePhase, type ClusterRecord } from '@cloudless/api'
import {
  CloudlessError,
  every,
  makePrivateDirectory,
  randomId,
  type Clock,
  type Random,
} from '@cloudless/base'
import { openCertificateAuthority } from '@cloudless/identity'
import { createSqliteStore } from '@cloudless/metadata'
import { clusterHandlers } from '../api/cluster-handlers.ts'
import { eventHandlers } from '../api/event-handlers.ts'
import { requireNode } from '../api/find.ts'
import { nodeHandlers } from '../api/node-handlers.ts'
import { reliabilityOf, type NodeViewDeps } from '../api/node-view.ts'
import { scheduleHandlers } from '../api/schedule-handlers.ts'
import { tokenHandlers } from '../api/token-handlers.ts'
import { workloadHandlers } from '../api/workload-handlers.ts'
import { NodeController } from '../controllers/node-controller.ts'
import { PlacementController } from '../controllers/placement-controller.ts'
import { SchedulerView } from '../controllers/scheduler-view.ts'
import { WorkloadController } from '../controllers/workload-controller.ts'
import { isGone } from '../membership/is-gone.ts'
import { LiveNodes } from '../membership/live-nodes.ts'
import { ObservationWriter } from '../membership/observation-writer.ts'
import { Sessions } from '../membership/sessions.ts'
import { createAgentForwarding } from '../server/agent-forwarding.ts'
import { AgentGateway } from '../server/agent-gateway.ts'
import { startApiServer } from '../server/api-server.ts'
import { parseListenAddress, type ListenAddress } from '../server/listen.ts'
import { absent, ClusterState, deleteRecord, putRecord } from '../state/cluster-state.ts'
import { Idempotency } from '../server/idempotency.ts'
import { refreshGauges, refreshStoreGauges } from './cluster-gauges.ts'
import { withCallScope } from './call-scope.ts'
import { caDirectoryOf, metadataPathOf } from './data-directory.ts'
import { admitWorkload } from './admission.ts'
import type { Observed } from './observed.ts'
import { coordinatorServices } from './services.ts'
import type { CoordinatorSettings } from './settings.ts'

export interface CoordinatorDeps {
  readonly clock: Clock
  readonly random: Random
  /** Logs, figures and events of this process; made from the store, which is opened here. */
  readonly observe: (store: Awaited<ReturnType<typeof createSqliteStore>>) => Promise<Observed>
}

export interface Coordinator {
  /** "host:port" of the API. */
  readonly addresses: readonly string[]
  /** Rejects when it can no longer do its work, and should be started anew. */
  readonly failed: Promise<never>
  /** Ends sessions and calls, finishes writes, closes the store. */
  close(): Promise<void>
}

const sweepPeriodMs = 600_000

export async function startCoordinator(
  deps: CoordinatorDeps,
  settings: CoordinatorSettings,
): Promise<Coordinator> {
  const { clock, random } = deps
  const closers: (() => Promise<void> | void)[] = []
  const close = async (): Promise<void> => {
    for (const closer of closers.splice(0).reverse()) await closer()
  }
  try {
    makePrivateDirectory(settings.data_dir)
    const authority = await openCertificateAuthority(deps, {
      directory: caDirectoryOf(settings.data_dir),
      trustDomain: settings['tls.trust_domain'],
    })
    const store = await createSqliteStore(deps, { path: metadataPathOf(settings.data_dir) })
    closers.push(() => store.close())
    const observed = await deps.observe(store)
    closers.push(() => observed.close())

    const following = new AbortController()
    closers.push(() => following.abort())
    const failure = Promise.withResolvers<never>()
    failure.promise.catch(() => undefined) // Whoever runs the coordinator looks at it.
    const state = await ClusterState.open(
      { store, clock },
      { signal: following.signal, onFailure: failure.reject },
    )
    const cluster = await ensureCluster(state, random, settings, clock)
    const options = optionsOf(settings)
    const startedAtMs = clock.wallMs()
    const advertised = advertisedAddresses(settings)

    const liveNodes = new LiveNodes(
      {
        clock,
        onChange: (nodeId) => {
          view.invalidateNode(nodeId)
          nodeController.look(nodeId)
        },
      },
      options.liveness,
    )
    closers.push(() => liveNodes.close())
    for (const { id, record } of state.all('node')) {
      const { phase } = record.node!.status!
      if (phase === NodePhase.OFFLINE) liveNodes.presumeLost(id)
      else if (phase !== NodePhase.ENROLLING) liveNodes.expect(id)
    }
    const nodeView: NodeViewDeps = {
      state,
      liveNodes,
      clock,
      heartbeatIntervalMs: options.liveness.heartbeatIntervalMs,
    }
    const view = new SchedulerView({
      state,
      liveNodes,
      reliability: (nodeId) => reliabilityOf(nodeView, state.get('node', nodeId)!),
    })
    const { report } = observed
    const nodeController = new NodeController({ state, clock, random, liveNodes, report })
    closers.push(() => nodeController.close())
    const workloadController = new WorkloadController({ state, clock, random, report })
    closers.push(() => workloadController.close())
    const placement = new PlacementController(
      { state, view, clock, random, report },
      { weights: options.weights },
    )
    closers.push(() => placement.close())
    const observations = new ObservationWriter({
      state,
      clock,
      onError: (reason) => report.error('storing what agents report', reason),
      onStored: (before, after) => report.replicaChanged(before, after),
    })
    closers.push(() => observations.close())
    observed.metrics.beforeExpose(() =>
      refreshGauges({
        metrics: observed.metrics,
        state,
        nodeView,
        queueDepth: () => placement.queueDepth,
      }),
    )
    const sessions = new Sessions(
      {
        state,
        clock,
        liveNodes,
        observations,
        welcome: (nodeId, hello) => nodeController.welcome(nodeId, hello),
        onHeartbeat: (nodeId, heartbeat) => observed.heartbeat(nodeId, heartbeat),
      },
      { heartbeatIntervalMs: options.liveness.heartbeatIntervalMs, coordinators: advertised },
    )
    closers.push(() => sessions.close())
    const gateway = new AgentGateway({
      clock,
      random,
      requestDialBack: (nodeId, connectionId) => sessions.requestDialBack(nodeId, connectionId),
    })
    const idempotency = new Idempotency({ store, clock })
    closers.push(sweepNowAndThen(clock, { state, idempotency, report }))
    const admit = (workload: Parameters<typeof admitWorkload>[1]): void =>
      admitWorkload(options.admission, workload)

    const services = [
      ...coordinatorServices({
        state,
        liveNodes,
        sessions,
        idempotency,
        observed,
        enrolment: {
          state,
          authority,
          clock,
          random,
          isGone: (node) => isGone(node, liveNodes.get(node.node!.id)?.liveness, clock.wallMs()),
        },
        enrolmentOptions: options.enrolment,
        nodes: nodeHandlers(
          {
            ...nodeView,
            onUpdated: (node, action) => observed.nodeUpdated(node, action),
            onRemoved: (node) => {
              const { id, name } = node.node!
              sessions.evict(id, 'removed', `node "${name}" was removed from the cluster`)
              liveNodes.forget(id)
              // The word of the eviction gets a moment to leave before the wire is cut.
              clock.after(evictionGraceMs, () => server.closeConnectionsOf(id))
              observed.nodeRemoved(node)
            },
          },
          { rejoinWindowMs: options.enrolment.rejoinWindowMs },
        ),
        workloads: workloadHandlers({
          state,
          clock,
          admit,
          onChanged: (workload, action, before) =>
            observed.workloadChanged(workload, action, before),
        }),
        tokens: tokenHandlers({
          state,
          clock,
          random,
          authority,
          addresses: advertised,
          onChanged: (token, action) => observed.tokenChanged(token, action),
        }),
        schedule: scheduleHandlers({
          state,
          clock,
          view,
          placement,
          weights: options.weights,
          admit,
        }),
        cluster: clusterHandlers({
          state,
          store,
          liveNodes,
          authority,
          cluster,
          startedAtMs,
          coordinators: advertised,
          queueDepth: () => placement.queueDepth,
        }),
        events: eventHandlers(observed.events),
      }),
      createAgentForwarding({
        locate: (target) => locate(state, target),
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
        readiness: () => ({ ready: true }),
        metrics: async () => {
          await refreshStoreGauges(observed.metrics, store)
          const { contentType, body } = await observed.metrics.expose()
          return { contentType, text: body }
        },
        services: services.map(withCallScope),
        isRemoved: (nodeId) => state.get('removed', nodeId) !== undefined,
        isUnknown: (nodeId) => state.get('node', nodeId) === undefined,
      },
      {
        coordinatorId: settings['raft.id'],
        addresses: settings.bind_addr.map(requireAddress),
        certificateLifetimeMs: settings['tls.server_certificate_ttl'],
        rateLimit: {
          perSecond: settings['api.rate_limit'],
          burst: settings['api.rate_burst'],
        },
        ...certificateNames(settings),
        ...(settings.health_addr === ''
          ? {}
          : { healthAddress: requireAddress(settings.health_addr) }),
        ...(settings.metrics_addr === ''
          ? {}
          : { metricsAddress: requireAddress(settings.metrics_addr) }),
      },
    )
    closers.push(() => server.close())
    const addresses = server.addresses.map(({ host, port }) => `${host}:${port}`)
    return { addresses, failed: failure.promise, close }
  } catch (reason) {
    await close()
    throw reason
  }
}

/** Between telling a removed node's agent so and cutting its connections. */
const evictionGraceMs = 100

/** The record of the cluster itself; made at the first start. */
async function ensureCluster(
  state: ClusterState,
  random: Random,
  settings: CoordinatorSettings,
  clock: Clock,
): Promise<ClusterRecord> {
  const recordId = 'cluster'
  const existing = state.get('cluster', recordId)
  if (existing) {
    if (existing.trustDomain === settings['tls.trust_domain']) return existing
    throw new CloudlessError(
      'failed_precondition',
      `this cluster's trust domain is "${existing.trustDomain}", but tls.trust_domain says ` +
        `"${settings['tls.trust_domain']}": it cannot be changed; set it back`,
    )
  }
  const record = create(ClusterRecordSchema, {
    clusterId: `cluster-${randomId(random, 12)}`,
    trustDomain: settings['tls.trust_domain'],
    createdAtMs: BigInt(clock.wallMs()),
  })
  await state.write({
    preconditions: [absent('cluster', recordId)],
    writes: [putRecord('cluster', recordId, record)],
  })
  return state.get('cluster', recordId)!
}

function optionsOf(settings: CoordinatorSettings) {
  return {
    liveness: {
      heartbeatIntervalMs: settings['membership.heartbeat_interval'],
      heartbeatTimeoutMs: settings['membership.heartbeat_timeout'],
      heartbeatTimeoutMsMax: settings['membership.heartbeat_timeout_max'],
      resetGraceMs: settings['membership.reset_grace'],
      returnGraceMs: settings['membership.return_grace'],
    },
    enrolment: {
      certificateLifetimeMs: settings['tls.node_certificate_ttl'],
      rejoinWindowMs: settings['tls.rejoin_window'],
      heartbeatIntervalMs: settings['membership.heartbeat_interval'],
      subnets: {
        clusterCidr: settings['network.cluster_cidr'],
        nodePrefixLength: settings['network.node_prefix_length'],
      },
    },
    weights: {
      locality: settings['scheduler.scoring.locality_weight'],
      reliability: settings['scheduler.scoring.reliability_weight'],
      cost: settings['scheduler.scoring.cost_weight'],
      utilization: settings['scheduler.scoring.utilization_weight'],
      networkPenalty: settings['scheduler.scoring.network_penalty_weight'],
    },
    admission: {
      hostPathPrefixes: settings['policy.host_path_prefixes'],
      allowPrivileged: settings['policy.allow_privileged'],
      allowHostNamespaces: settings['policy.allow_host_namespaces'],
    },
  }
}

function requireAddress(text: string): ListenAddress {
  const address = parseListenAddress(text)
  if (address) return address
  throw new CloudlessError('invalid_argument', `"${text}" is not an address like 0.0.0.0:8080`)
}

/** Where agents reach us: what the operator says, else what we listen on, with our addresses in place of "all". */
function advertisedAddresses(settings: CoordinatorSettings): string[] {
  if (settings.advertise_addr.length > 0) return [...settings.advertise_addr]
  return settings.bind_addr.flatMap((text) => {
    const { host, port } = requireAddress(text)
    const hosts = host === '0.0.0.0' || host === '::' || host === '' ? ownAddresses() : [host]
    return hosts.map((one) => (one.includes(':') ? `[${one}]:${port}` : `${one}:${port}`))
  })
}

function ownAddresses(): string[] {
  const all = Object.values(networkInterfaces()).flatMap((addresses) => addresses ?? [])
  const outward = all.filter(({ internal, family }) => !internal && family === 'IPv4')
  return outward.length > 0 ? outward.map(({ address }) => address) : ['127.0.0.1']
}

function certificateNames(settings: CoordinatorSettings) {
  const hosts = [
    'localhost',
    hostname().toLowerCase(),
    '127.0.0.1',
    ...ownAddresses(),
    ...settings['tls.names'],
    ...advertisedAddresses(settings).map((text) => requireAddress(text).host),
  ]
  const unique = [...new Set(hosts)]
  return {
    dnsNames: unique.filter((host) => isIP(host) === 0 && host !== ''),
    ipAddresses: unique.filter((host) => isIP(host) !== 0),
  }
}

function locate(
  state: ClusterState,
  target: { readonly containerId: string; readonly nodeId: string },
): string {
  if (target.nodeId !== '') return requireNode(state, target.nodeId).id
  const replica = state.get('replica', target.containerId)
  if (replica === undefined) {
    throw new CloudlessError(
      'not_found',
      `there is no replica or container "${target.containerId}"; ` +
        '`cloudlessctl workload replicas -A` shows them, and --node names the node of any other',
    )
  }
  const { nodeId, id, message } = replica.status!
  if (nodeId !== '') return nodeId
  throw new CloudlessError(
    'failed_precondition',
    `replica "${id}" has no container yet: it waits for a place${message && ` (${message})`}`,
  )
}

/** Forgets removed nodes whose certificates have run out, and old idempotency keys. */
function sweepNowAndThen(
  clock: Clock,
  deps: {
    readonly state: ClusterState
    readonly idempotency: Idempotency
    readonly report: Observed['report']
  },
): () => void {
  return every(clock, sweepPeriodMs, () => {
    const nowMs = BigInt(clock.wallMs())
    const expired = [...deps.state.all('removed')].filter((h) => h.record.expiresAtMs <= nowMs)
    const writes = expired.map(({ id }) => deleteRecord('removed', id))
    const swept = writes.length > 0 ? deps.state.write({ writes }) : Promise.resolve()
    Promise.all([swept, deps.idempotency.sweep()]).catch((reason: unknown) =>
      deps.report.error('forgetting what has expired', reason),
    )
  })
}
