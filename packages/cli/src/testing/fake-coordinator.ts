/** For tests: CoordinatorService over a FakeState. Answers what the real one would for the cases the CLI cares about. */
import { clone, create } from '@bufbuild/protobuf'
import {
  ApplyOutcome,
  CoordinatorService,
  toConnectError,
  WatchKind,
  WorkloadSchema,
  type Workload,
} from '@cloudless/api'
import { CloudlessError, systemClock } from '@cloudless/base'
import type { ConnectRouter, ServiceImpl } from '@connectrpc/connect'
import { once } from 'node:events'
import { aToken, aWorkload, fileConfiguration, type FakeState } from './fake-state.ts'

type Handlers = Partial<ServiceImpl<typeof CoordinatorService>>

export function serveCoordinator(router: ConnectRouter, state: FakeState): void {
  router.service(CoordinatorService, {
    ...nodeHandlers(state),
    ...workloadHandlers(state),
    ...tokenHandlers(state),
    ...clusterHandlers(state),
    ...schedulingHandlers(state),
  })
}

export function refuse(code: CloudlessError['code'], message: string): never {
  throw toConnectError(new CloudlessError(code, message))
}

/** One page of a list, its token being the position of the next. */
export function pageOf<T>(
  state: FakeState,
  items: readonly T[],
  { limit, continueToken }: { limit: number; continueToken: string },
): { page: T[]; nextToken: string; total: number } {
  const start = Number(continueToken || '0')
  const end = start + Math.min(limit || 100, state.pageMax)
  const nextToken = end < items.length ? String(end) : ''
  return { page: items.slice(start, end), nextToken, total: items.length }
}

/** Everything that is, SYNCED, then what is new, changed or gone whenever the state says so. */
async function* watch<T>(
  state: FakeState,
  signal: AbortSignal,
  list: () => readonly T[],
  keyOf: (item: T) => string,
): AsyncGenerator<{ kind: WatchKind; item?: T }> {
  let known = new Map<string, T>()
  for (const item of list()) {
    known.set(keyOf(item), item)
    yield { kind: WatchKind.ADDED, item }
  }
  yield { kind: WatchKind.SYNCED }
  while (!signal.aborted) {
    await once(state.changes, 'change', { signal }).catch(() => undefined)
    const now = new Map(list().map((item) => [keyOf(item), item]))
    for (const [key, item] of now) {
      const before = known.get(key)
      if (before === undefined) yield { kind: WatchKind.ADDED, item }
      else if (before !== item) yield { kind: WatchKind.MODIFIED, item }
    }
    for (const [key, item] of known) if (!now.has(key)) yield { kind: WatchKind.DELETED, item }
    known = now
  }
}

function nodeHandlers(state: FakeState): Handlers {
  const find = (wanted: string) =>
    state.nodes.find(({ id, name }) => id === wanted || name === wanted) ??
    refuse('not_found', `there is no node "${wanted}"`)
  return {
    getNode: ({ nodeId }) => find(nodeId),
    listNodes(request) {
      const fits = state.nodes.filter(
        ({ zone }) => request.zones.length === 0 || request.zones.includes(zone),
      )
      const { page, nextToken, total } = pageOf(state, fits, request)
      return { nodes: page, nextToken, total }
    },
    async *watchNodes({ nodeId }, { signal }) {
      const list = () => state.nodes.filter(({ id }) => nodeId === '' || id === nodeId)
      for await (const { kind, item } of watch(state, signal, list, ({ id }) => id)) {
        yield item === undefined ? { kind } : { kind, node: item }
      }
    },
    drainNode: ({ nodeId }) => find(nodeId),
    cordonNode: ({ nodeId }) => find(nodeId),
    uncordonNode: ({ nodeId }) => find(nodeId),
    updateNode: ({ nodeId }) => find(nodeId),
    removeNode({ nodeId, force }) {
      const node = find(nodeId)
      if (node.replicaCount > 0 && !force) {
        refuse('failed_precondition', `node ${node.name} still has ${node.replicaCount} replicas`)
      }
      state.nodes.splice(state.nodes.indexOf(node), 1)
      return {}
    },
  }
}

function workloadHandlers(state: FakeState): Handlers {
  const find = (wanted: string, namespace: string) =>
    state.workloads.find(
      (w) => w.id === wanted || (w.name === wanted && w.namespace === (namespace || 'default')),
    ) ?? refuse('not_found', `there is no workload "${wanted}" in namespace ${namespace}`)
  const withReplicas = (workload: Workload): Workload => {
    const whole = clone(WorkloadSchema, workload)
    const status = whole.status
    if (status !== undefined) {
      status.replicas = state.replicas.filter(({ workloadId }) => workloadId === workload.id)
    }
    return whole
  }
  const store = (workload: Workload | undefined): Workload => {
    const given = workload ?? create(WorkloadSchema)
    const stored = clone(WorkloadSchema, given)
    stored.id = `${given.namespace}-${given.name}`
    const at = state.workloads.findIndex(({ id }) => id === stored.id)
    if (at < 0) state.workloads.push(stored)
    else state.workloads[at] = stored
    return stored
  }

  return {
    createWorkload({ workload, dryRun }) {
      if (state.workloads.some(({ name }) => name === workload?.name)) {
        refuse('already_exists', `there already is a workload "${workload?.name}"`)
      }
      return dryRun ? (workload ?? {}) : store(workload)
    },
    updateWorkload({ workload }) {
      find(workload?.name ?? '', workload?.namespace ?? '')
      return store(workload)
    },
    applyWorkload({ workload, dryRun }) {
      const exists = state.workloads.some(({ name }) => name === workload?.name)
      const outcome = exists ? ApplyOutcome.CONFIGURED : ApplyOutcome.CREATED
      if (dryRun && workload !== undefined) return { workload, outcome }
      return { workload: store(workload), outcome }
    },
    getWorkload: ({ workloadId, namespace }) => withReplicas(find(workloadId, namespace)),
    listWorkloads(request) {
      const { namespace } = request
      const fits = state.workloads.filter((w) => namespace === '' || w.namespace === namespace)
      const { page, nextToken, total } = pageOf(state, fits, request)
      return { workloads: page, nextToken, total }
    },
    deleteWorkload({ workloadId, namespace }) {
      state.workloads.splice(state.workloads.indexOf(find(workloadId, namespace)), 1)
      state.changes.emit('change')
      return {}
    },
    async *watchWorkloads({ workloadId, namespace }, { signal }) {
      if (workloadId !== '') find(workloadId, namespace)
      const list = () =>
        state.workloads
          .filter((w) => workloadId === '' || w.id === workloadId || w.name === workloadId)
          .map((w) => (workloadId === '' ? w : withReplicas(w)))
      for await (const { kind, item } of watch(state, signal, list, ({ id }) => id)) {
        yield item === undefined ? { kind } : { kind, workload: item }
      }
    },
    scaleWorkload({ workloadId, namespace, replicas }) {
      const workload = find(workloadId, namespace)
      if (workload.spec !== undefined) workload.spec.replicas = replicas
      return workload
    },
    restartWorkload: ({ workloadId, namespace }) => find(workloadId, namespace),
    pauseRollout: ({ workloadId, namespace }) => find(workloadId, namespace),
    resumeRollout: ({ workloadId, namespace }) => find(workloadId, namespace),
    promoteRollout: ({ workloadId, namespace }) => find(workloadId, namespace),
    undoRollout({ workloadId, namespace, toRevision }) {
      const workload = find(workloadId, namespace)
      workload.revision = toRevision || workload.revision - 1n
      return workload
    },
    listRevisions(request) {
      find(request.workloadId, request.namespace)
      const { page, nextToken, total } = pageOf(state, state.revisions, request)
      return { revisions: page, nextToken, total }
    },
    suspendWorkload({ workloadId, namespace, suspend }) {
      const workload = find(workloadId, namespace)
      if (workload.spec?.cron !== undefined) workload.spec.cron.suspend = suspend
      return workload
    },
    runWorkload({ workloadId, namespace }) {
      const cron = find(workloadId, namespace)
      return store(aWorkload({ name: `${cron.name}-manual-x`, namespace: cron.namespace }))
    },
    listReplicas(request) {
      const { workloadId, nodeId } = request
      const fits = state.replicas.filter(
        (r) =>
          (workloadId === '' || r.workloadId === workloadId || r.workloadName === workloadId) &&
          (nodeId === '' || r.nodeId === nodeId || r.nodeName === nodeId),
      )
      const { page, nextToken, total } = pageOf(state, fits, request)
      return { replicas: page, nextToken, total }
    },
  }
}

function tokenHandlers(state: FakeState): Handlers {
  return {
    createJoinToken({ maxUses, ttlMs, nodeName, zone }) {
      const expiresAtMs = BigInt(systemClock.wallMs()) + ttlMs
      const joinToken = aToken({ maxUses, nodeName, zone, expiresAtMs })
      state.tokens.push(joinToken)
      return { joinToken, token: 'header.claims.signature', caFingerprint: 'ab'.repeat(32) }
    },
    listJoinTokens(request) {
      const { page, nextToken, total } = pageOf(state, state.tokens, request)
      return { joinTokens: page, nextToken, total }
    },
    revokeJoinToken({ tokenId }) {
      const token = state.tokens.find(({ id }) => id === tokenId)
      if (token === undefined) return refuse('not_found', `there is no token "${tokenId}"`)
      token.revoked = true
      return {}
    },
  }
}

function schedulingHandlers(state: FakeState): Handlers {
  const { scheduling } = state
  return {
    schedule: () => ({ decisions: scheduling.decisions }),
    explainWorkload({ workloadId, replicaId }) {
      const workload =
        state.workloads.find(({ id, name }) => id === workloadId || name === workloadId) ??
        refuse('not_found', `there is no workload "${workloadId}"`)
      const replicas = scheduling.explanations.filter(({ replica }) =>
        replica?.id.endsWith(replicaId),
      )
      return { workload, replicas }
    },
    simulateNodes: () => scheduling.simulation,
    getResourcePool: () => scheduling.pool,
    listFragments(request) {
      const { page, nextToken, total } = pageOf(state, scheduling.fragments, request)
      return { fragments: page, nextToken, total }
    },
    getSchedulerConfiguration: () => scheduling.configuration,
    updateSchedulerConfiguration({ configuration, reset }) {
      const base = reset ? fileConfiguration() : scheduling.configuration
      const given = Object.entries(configuration ?? {}).filter(
        ([name, value]) => value !== undefined && !['$typeName', 'changed'].includes(name),
      )
      const changed = given.map(([name]) => name).filter((name) => name !== 'resourceVersion')
      const resourceVersion = base.resourceVersion + 1n
      scheduling.configuration = {
        ...base,
        ...Object.fromEntries(given),
        resourceVersion,
        changed,
      }
      return scheduling.configuration
    },
  }
}

function clusterHandlers(state: FakeState): Handlers {
  return {
    getClusterStatus: () => ({
      clusterId: 'cluster-test',
      trustDomain: 'cloudless',
      coordinatorVersion: '0.1.0',
      metadataEngine: 'sqlite',
      nodesByPhase: { READY: state.nodes.length },
      replicasDesired: 3,
      replicasReady: 2,
      schedulingQueueDepth: 1,
      commitLatencyMs: 0.25,
      ...(state.massLoss && { massLoss: state.massLoss }),
    }),
    async *backupCluster({ protection }) {
      state.backupProtection = protection
      const summary = {
        ...{ clusterId: 'cluster-test', trustDomain: 'cloudless', version: '0.1.0' },
        ...{ createdAtMs: 1_764_471_605_000n, revision: 42n },
      }
      yield { message: { case: 'begun', value: summary } }
      yield { message: { case: 'data', value: Buffer.from('one ') } }
      yield { message: { case: 'data', value: Buffer.from('two') } }
      if (state.backupBreaksOff) refuse('unavailable', 'this coordinator leads no longer')
      const done = { ...summary, entries: 5n, fileBytes: 7n, counts: { nodes: 3 } }
      yield { message: { case: 'done', value: done } }
    },
    describeCoordinator: () => ({
      ...{ id: 'c1', clusterId: 'cluster-test', isLeader: state.isRecovered === true },
      raft: { appliedIndex: 99n },
    }),
    recoverCoordinator() {
      state.isRecovered = true
      return { removed: ['c2', 'c3'] }
    },
    listEvents(request) {
      const wanted = request.filter?.types ?? []
      const fits = state.events.filter(
        ({ type }) =>
          wanted.length === 0 ||
          wanted.some((w) => (w.endsWith('*') ? type.startsWith(w.slice(0, -1)) : w === type)),
      )
      const { page, nextToken, total } = pageOf(state, fits, request)
      return { events: page, nextToken, total }
    },
    async *watchEvents({ afterSequence, tail }, { signal }) {
      let after = afterSequence
      if (after === 0n) after = (state.events.at(-1 - tail)?.sequence ?? 0n) as bigint
      while (!signal.aborted) {
        for (const event of state.events.filter(({ sequence }) => sequence > after)) {
          after = event.sequence
          yield event
        }
        await once(state.changes, 'change', { signal }).catch(() => undefined)
      }
    },
  }
}
