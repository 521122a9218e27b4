/**
 * The cluster as the scheduler sees it: its table, changed as the records change.
 *
 * What is not on record (pressure, reliability, images, battery) comes from the live nodes: at once where it matters to a
 * filter, within half a minute where it only moves a score.
 */
import {
  NodePhase,
  PowerSource,
  ReplicaState,
  type NodePolicy,
  type NodeRecord,
  type ReplicaRecord,
  type Workload,
} from '@cloudless/api'
import { every, isPublicAddress, type Clock, type HostPolicy } from '@cloudless/base'
import {
  ClusterTable,
  type Holding,
  type NodePhase as ViewPhase,
  type NodeView,
  type PendingReplica,
  type ReplicaKind,
  type Resources,
} from '@cloudless/scheduler'
import { clusterRecordId } from '../state/cluster-record.ts'
import { enumName } from '../state/enum-names.ts'
import type { ClusterState, RecordChange } from '../state/cluster-state.ts'
import type { LiveNodes } from '../membership/live-nodes.ts'
import { isOver } from './job-attempts.ts'
import { ReplicaKinds, resourcesOf } from './replica-kinds.ts'
import { settingsInForce, type SchedulerSettings } from './scheduler-configuration.ts'
import { taintOf } from './taints.ts'

export interface SchedulerViewDeps {
  readonly state: ClusterState
  readonly liveNodes: Pick<LiveNodes, 'get' | 'imagesOf' | 'platformsOf'>
  readonly clock: Clock
  /** 0 to 1. */
  readonly reliability: (nodeId: string) => number
  /** What the configuration file says. */
  readonly settings: SchedulerSettings
}

/** What the table was told: who waits for a change looks at these. */
export interface ViewChange {
  /** Nodes that are new, are different or had something given back. */
  readonly nodeIds: ReadonlySet<string>
  /** A replica came to be or ceased to be somewhere: affinity and spread may see it differently. */
  readonly replicasMoved: boolean
  /** A node came, went or is something else: it may be another place now, or one that others need not wait for. */
  readonly placesMoved: boolean
  /** Full names of images that turn out to be made for other platforms than was known. */
  readonly images: ReadonlySet<string>
  /** The settings: anything may be different. */
  readonly everything: boolean
}

const nothing: ViewChange = {
  nodeIds: new Set(),
  replicasMoved: false,
  placesMoved: false,
  images: new Set(),
  everything: false,
}

export type ViewListener = (change: ViewChange) => void

/** Each node's reliability is looked at again once in so many rounds. */
const rounds = 30
const roundMs = 1_000
/** Reliability moves all the time, and the difference of a thousandth moves no replica. */
const reliabilitySteps = 100

export class SchedulerView {
  readonly table = new ClusterTable()
  readonly #deps: SchedulerViewDeps
  readonly #kinds: ReplicaKinds
  readonly #listeners = new Set<ViewListener>()
  readonly #stops: (() => void)[]
  #settings: SchedulerSettings
  #round = 0

  /** Reads everything, then follows the state. */
  constructor(deps: SchedulerViewDeps) {
    const { state, clock, liveNodes } = deps
    this.#deps = deps
    this.#kinds = new ReplicaKinds({
      settings: () => this.#settings,
      platformsOf: (image) => liveNodes.platformsOf(image),
      annotationsOf: (workloadId) => state.get('workload', workloadId)?.workload?.annotations ?? {},
    })
    this.#settings = this.#settingsNow()
    for (const { record } of state.all('node')) this.table.putNode(this.#viewOf(record))
    for (const { id, record } of state.all('replica')) this.#followReplica(id, record)
    this.#stops = [
      state.listen((changes) => this.#onChanges(changes)),
      every(clock, roundMs, () => this.#lookAround()),
    ]
  }

  close(): void {
    for (const stop of this.#stops) stop()
  }

  /** Runs after each batch of changes that the table has been told of, until the returned function is called. */
  listen(listener: ViewListener): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  /** In force now. */
  configuration(): SchedulerSettings {
    return this.#settings
  }

  kindOf(record: ReplicaRecord): ReplicaKind {
    return this.#kinds.of(record)
  }

  /** Of the replicas a workload would have; it need not exist. */
  kindOfWorkload(workload: Workload): ReplicaKind {
    return this.#kinds.ofWorkload(workload)
  }

  /** `limits`: where it must not go, such as the node it is being moved from, and where it had better not. */
  pendingOf(
    record: ReplicaRecord,
    limits: Partial<Pick<PendingReplica, 'excludedNodeIds' | 'avoidedNodeIds'>> = {},
  ): PendingReplica {
    const { id, boundNodeId } = record.status!
    return {
      id,
      kind: this.kindOf(record),
      excludedNodeIds: [],
      ...limits,
      ...(boundNodeId === '' ? {} : { boundNodeId }),
    }
  }

  /** What is not on record of the node has changed: its pressure, its images. */
  lookAt(nodeId: string): void {
    const record = this.#deps.state.get('node', nodeId)
    if (record === undefined) return
    const { factsEpoch } = this.table
    const before = this.table.node(nodeId)
    this.table.putNode(this.#viewOf(record))
    if (this.table.node(nodeId) === before) return
    const placesMoved = this.table.factsEpoch !== factsEpoch
    this.#tell({ ...nothing, nodeIds: new Set([nodeId]), placesMoved })
  }

  /** Images turn out to be made for other platforms than was known. */
  platformsChanged(images: readonly string[]): void {
    this.#tell({ ...nothing, images: new Set(images) })
  }

  #onChanges(changes: readonly RecordChange[]): void {
    const { factsEpoch } = this.table
    const nodeIds = new Set<string>()
    let replicasMoved = false
    let everything = false
    for (const change of changes) {
      if (change.kind === 'cluster') everything = this.#followSettings() || everything
      if (change.kind === 'node') this.#followNode(change as RecordChange<'node'>, nodeIds)
      if (change.kind !== 'replica') continue
      const { id, after } = change as RecordChange<'replica'>
      replicasMoved = this.#followReplica(id, after, nodeIds) || replicasMoved
    }
    const placesMoved = this.table.factsEpoch !== factsEpoch
    if (nodeIds.size > 0 || replicasMoved || placesMoved || everything) {
      this.#tell({ ...nothing, nodeIds, replicasMoved, placesMoved, everything })
    }
  }

  #tell(change: ViewChange): void {
    for (const listener of this.#listeners) listener(change)
  }

  #followNode({ id, after }: RecordChange<'node'>, nodeIds: Set<string>): void {
    if (after === undefined) {
      this.table.removeNode(id)
      return
    }
    const before = this.table.node(id)
    this.table.putNode(this.#viewOf(after))
    if (this.table.node(id) !== before) nodeIds.add(id)
  }

  /** Whether it moved; adds the node that got something back. */
  #followReplica(
    id: string,
    record: ReplicaRecord | undefined,
    nodeIds: Set<string> = new Set(),
  ): boolean {
    const before = this.table.replica(id)
    const held = record && holdingOf(record)
    if (record === undefined || held === undefined) {
      if (before === undefined) return false
      this.table.removeReplica(id)
      nodeIds.add(before.nodeId)
      return true
    }
    const kind = this.kindOf(record)
    const { nodeId, holding } = held
    const isSame = before?.nodeId === nodeId && before.holding === holding && before.kind === kind
    if (isSame) return false
    this.table.putReplica({ id, nodeId, kind, holding })
    if (before !== undefined) nodeIds.add(before.nodeId)
    return before?.nodeId !== nodeId || before.holding !== holding
  }

  #followSettings(): boolean {
    const before = this.#settings
    this.#settings = this.#settingsNow()
    if (JSON.stringify(before) === JSON.stringify(this.#settings)) return false
    this.#kinds.forget()
    for (const { record } of this.#deps.state.all('node')) this.table.putNode(this.#viewOf(record))
    return true
  }

  #settingsNow(): SchedulerSettings {
    const { state, settings } = this.#deps
    return settingsInForce(settings, state.get('cluster', clusterRecordId)?.scheduler)
  }

  /** A part of the nodes each time, so that thousands do not hold up a heartbeat. */
  #lookAround(): void {
    const round = this.#round++ % rounds
    let at = 0
    for (const { record } of this.#deps.state.all('node')) {
      if (at++ % rounds === round) this.table.putNode(this.#viewOf(record))
    }
  }

  #viewOf(record: NodeRecord): NodeView {
    const { liveNodes, reliability } = this.#deps
    const node = record.node!
    const conditions = liveNodes.get(node.id)?.conditions ?? []
    const isTrue = (type: string): boolean =>
      conditions.some((c) => c.type === type && c.status === 'True')
    const { capabilities, capacity } = node
    return {
      id: node.id,
      name: node.name,
      region: node.region,
      zone: node.zone,
      phase: enumName(NodePhase, node.status!.phase).toLowerCase() as ViewPhase,
      labels: node.labels,
      taints: node.taints.map(taintOf),
      allocatable: this.#promisable(resourcesOf(node.allocatable)),
      gpuModels: capacity?.gpuModels ?? [],
      iopsClass: capacity?.iopsClass ?? 'unknown',
      architecture: capabilities?.architecture ?? '',
      os: capabilities?.os ?? '',
      policy: capabilities?.policy && policyOf(capabilities.policy),
      reliability: Math.round(reliability(node.id) * reliabilitySteps) / reliabilitySteps,
      memoryPressure: isTrue('MemoryPressure'),
      diskPressure: isTrue('DiskPressure'),
      networkUnavailable: isTrue('NetworkUnavailable'),
      networkFeatures: capabilities?.networkFeatures ?? [],
      hasPublicAddress: node.addresses.some(isPublicAddress),
      onBattery: capabilities?.powerSource === PowerSource.BATTERY,
      batteryPercent: capabilities?.batteryPercent ?? -1,
      isMetered: capabilities?.meteredLink ?? false,
      images: liveNodes.imagesOf(node.id),
    }
  }

  /** Never more than there is, unless an operator has said so. */
  #promisable(has: Resources): Resources {
    const { cpuOvercommit, memoryOvercommit } = this.#settings
    return {
      ...has,
      cpuMillis: Math.floor(has.cpuMillis * cpuOvercommit),
      memoryBytes: Math.floor(has.memoryBytes * memoryOvercommit),
    }
  }
}

function policyOf(policy: NodePolicy): HostPolicy {
  const { allowPrivileged, allowHostNamespaces, hostPathPrefixes, runtimeClasses } = policy
  const { volumeSources, seccompProfiles, securityModules } = policy
  return {
    allowPrivileged,
    allowHostNamespaces,
    hostPathPrefixes,
    runtimeClasses,
    volumeSources,
    seccompProfiles,
    securityModules,
  }
}

/** What the replica takes, and where; undefined when it takes nothing yet. */
function holdingOf(
  record: ReplicaRecord,
): { readonly nodeId: string; readonly holding: Holding } | undefined {
  const { nodeId, nominatedNodeId, state } = record.status!
  if (isOver(record)) return undefined
  if (nodeId !== '') {
    // What is lost keeps its room until its node says what became of it, and is nobody's neighbour any more.
    const isLeaving = record.stopping || state === ReplicaState.LOST
    return { nodeId, holding: isLeaving ? 'leaving' : 'holding' }
  }
  if (nominatedNodeId === '' || record.stopping) return undefined
  return { nodeId: nominatedNodeId, holding: 'nominated' }
}
