/** CoordinatorService's calls about nodes. */
import { create } from '@bufbuild/protobuf'
import { EmptySchema } from '@bufbuild/protobuf/wkt'
import {
  ListNodesResponseSchema,
  TaintSchema,
  WatchNodesResponseSchema,
  pageOf,
  type CordonNodeRequest,
  type DrainNodeRequest,
  type GetNodeRequest,
  type ListNodesRequest,
  type Node,
  type NodeRecord,
  type ReplicaRecord,
  type RemoveNodeRequest,
  type Taint,
  type UncordonNodeRequest,
  type UpdateNodeRequest,
  type WatchNodesRequest,
} from '@cloudless/api'
import { type Clock, CloudlessError, counted } from '@cloudless/base'
import { drainProgress } from '../controllers/drain-progress.ts'
import { drainTaintKey } from '../controllers/taints.ts'
import { putRecord, unchanged, type ClusterState, type Held } from '../state/cluster-state.ts'
import { nodeNameKey } from '../state/records.ts'
import type { LiveNodes } from '../membership/live-nodes.ts'
import { removalWrites } from '../membership/enrolment.ts'
import { problemsOfLabels, problemsOfTaints } from '../membership/node-validation.ts'
import type { Call } from './call.ts'
import { matchesLabels, requireNode } from './find.ts'
import { viewNode, type NodeViewDeps } from './node-view.ts'
import { watchRecords } from './watch.ts'

export interface NodeHandlersDeps extends NodeViewDeps {
  readonly state: ClusterState
  readonly clock: Clock
  readonly liveNodes: LiveNodes
  readonly onUpdated: (node: NodeRecord, action: NodeAction) => void
  /** The membership ended: cut its session and connections. */
  readonly onRemoved: (node: NodeRecord) => void
}

export type NodeAction = 'drain' | 'cordon' | 'uncordon' | 'update'

export interface NodeHandlersOptions {
  readonly rejoinWindowMs: number
}

const drainTimeoutMsDefault = 300_000
/** Kept from the earlier releases' scheduling: others may look for them. */
const drainTaint = create(TaintSchema, {
  key: drainTaintKey,
  value: 'true',
  effect: 'NoSchedule',
})

export function nodeHandlers(deps: NodeHandlersDeps, options: NodeHandlersOptions) {
  const { state } = deps

  async function change(
    idOrName: string,
    action: NodeAction,
    edit: (record: NodeRecord) => NodeRecord,
  ): Promise<Node> {
    const { id } = requireNode(state, idOrName)
    const record = await state.update(() => {
      const held = requireNode(state, id)
      const result = edit(held.record)
      return {
        preconditions: [unchanged('node', held)],
        writes: [putRecord('node', id, result)],
        result,
      }
    })
    deps.onUpdated(record!, action)
    return viewNode(deps, requireNode(state, id))
  }

  function toLeave({ node }: NodeRecord): number {
    return drainProgress(state.replicasOnNode(node!.id).map((held) => held.record)).left
  }

  return {
    getNode: (request: GetNodeRequest): Node => viewNode(deps, requireNode(state, request.nodeId)),

    listNodes(request: ListNodesRequest) {
      const matching = [...state.all('node')].filter((held) => matches(held, request))
      const page = pageOf(matching, ({ record, id }) => `${record.node!.name}/${id}`, request)
      return create(ListNodesResponseSchema, {
        nodes: page.items.map((held) => viewNode(deps, held)),
        nextToken: page.nextToken,
        total: page.total,
      })
    },

    async *watchNodes(request: WatchNodesRequest, call: Call) {
      const only = request.nodeId === '' ? undefined : requireNode(state, request.nodeId).id
      const accepts = (held: Held<NodeRecord>): boolean =>
        (only === undefined || held.id === only) && matches(held, request)
      const source = {
        current: () => {
          const nodes = new Map<string, Node>()
          for (const held of state.all('node')) {
            if (accepts(held)) nodes.set(held.id, viewNode(deps, held))
          }
          return nodes
        },
        *concerned(changes: Parameters<Parameters<ClusterState['listen']>[0]>[0]) {
          for (const { kind, id, before, after } of changes) {
            if (kind === 'node') yield id
            if (kind !== 'replica') continue
            for (const replica of [before, after] as (ReplicaRecord | undefined)[]) {
              const { nodeId, replaces } = replica?.status ?? {}
              if (nodeId) yield nodeId
              // What a drained node waits for happens on others.
              const left = replaces && state.get('replica', replaces)?.status!.nodeId
              if (left) yield left
            }
          }
        },
        view: (id: string) => {
          const held = state.held('node', id)
          return held && accepts(held) ? viewNode(deps, held) : undefined
        },
      }
      for await (const { kind, item } of watchRecords(state, source, call.signal)) {
        yield create(WatchNodesResponseSchema, { kind, ...(item && { node: item }) })
      }
    },

    drainNode(request: DrainNodeRequest): Promise<Node> {
      const timeoutMs = Number(request.timeoutMs) || drainTimeoutMsDefault
      if (timeoutMs < 0)
        throw new CloudlessError('invalid_argument', 'timeout_ms: must not be negative')
      const nowMs = deps.clock.wallMs()
      return change(request.nodeId, 'drain', (record) => ({
        ...record,
        drainStartedAtMs: record.drainStartedAtMs || BigInt(nowMs),
        drainDeadlineMs: BigInt(nowMs + timeoutMs),
        drainGraceful: request.graceful ?? true,
        drainForce: request.force,
        drainReplicas: record.drainStartedAtMs > 0n ? record.drainReplicas : toLeave(record),
        node: {
          ...record.node!,
          unschedulable: true,
          taints: withTaint(record.node!.taints, drainTaint),
        },
      }))
    },

    cordonNode: (request: CordonNodeRequest): Promise<Node> =>
      change(request.nodeId, 'cordon', (record) => ({
        ...record,
        node: { ...record.node!, unschedulable: true },
      })),

    uncordonNode: (request: UncordonNodeRequest): Promise<Node> =>
      change(request.nodeId, 'uncordon', (record) => ({
        ...record,
        drainStartedAtMs: 0n,
        drainDeadlineMs: 0n,
        drainForce: false,
        drainReplicas: 0,
        node: {
          ...record.node!,
          unschedulable: false,
          taints: record.node!.taints.filter((taint) => taint.key !== drainTaint.key),
        },
      })),

    updateNode(request: UpdateNodeRequest): Promise<Node> {
      const problem =
        problemsOfLabels('set_labels', request.setLabels) ??
        problemsOfTaints('set_taints', request.setTaints)
      if (problem) throw new CloudlessError('invalid_argument', problem)
      return change(request.nodeId, 'update', (record) => {
        const labels = { ...record.node!.labels, ...request.setLabels }
        for (const key of request.removeLabels) delete labels[key]
        const kept = record.node!.taints.filter(({ key }) => !request.removeTaints.includes(key))
        const taints = request.setTaints.reduce<Taint[]>(withTaint, kept)
        return { ...record, node: { ...record.node!, labels, taints } }
      })
    },

    async removeNode(request: RemoveNodeRequest) {
      const { id } = requireNode(state, request.nodeId)
      const removed = await state.update(() => {
        const held = requireNode(state, id)
        const { name } = held.record.node!
        refuseUnlessForced(deps, held, request.force)
        return {
          preconditions: [unchanged('node', held)],
          writes: [
            ...removalWrites(state, held, deps.clock.wallMs(), options.rejoinWindowMs),
            { kind: 'delete', key: nodeNameKey(name) } as const,
          ],
          result: held.record,
        }
      })
      deps.onRemoved(removed!)
      return create(EmptySchema)
    },
  }
}

function refuseUnlessForced(deps: NodeHandlersDeps, held: Held<NodeRecord>, force: boolean): void {
  if (force) return
  const { name } = held.record.node!
  // What was lost with it is replaced, and daemons end with their node: a drain would wait for them for ever.
  const replicas = drainProgress(deps.state.replicasOnNode(held.id).map((r) => r.record)).left
  if (replicas > 0) {
    throw new CloudlessError(
      'failed_precondition',
      `node "${name}" has ${counted(replicas, 'replica')}: drain it first with ` +
        `\`cloudlessctl node drain ${name} --wait\`, or use --force`,
    )
  }
}

function matches(
  { record }: Held<NodeRecord>,
  filter: {
    readonly labelSelector: Readonly<Record<string, string>>
    readonly regions: readonly string[]
    readonly zones: readonly string[]
  },
): boolean {
  const { region, zone, labels } = record.node!
  return (
    (filter.regions.length === 0 || filter.regions.includes(region)) &&
    (filter.zones.length === 0 || filter.zones.includes(zone)) &&
    matchesLabels(labels, filter.labelSelector)
  )
}

/** A taint is named by its key and effect. */
function withTaint(taints: readonly Taint[], taint: Taint): Taint[] {
  const others = taints.filter((t) => t.key !== taint.key || t.effect !== taint.effect)
  return [...others, { ...taint }]
}
