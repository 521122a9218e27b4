/**
 * The cluster as the scheduler sees it: a row a node, a column a property, kept up to date change by change.
 *
 * Invariants
 *   1. After any history of changes the table says what one built anew from the same nodes and replicas would say.
 *   2. What is reserved on a row is the sum of the requests of the replicas on its node, whatever they are doing.
 *   3. Only replicas that hold count for affinity and spread; those that leave or are nominated only take room.
 */
import { placeOf } from '../labels.ts'
import { noResources, type NodeView, type PlacedReplica, type Resources } from '../model.ts'
import { RejectionCodes } from '../rejections.ts'
import { deviceScore } from '../scores/device.ts'
import { reliabilityScore } from '../scores/reliability.ts'
import { Columns } from './columns.ts'
import type { Facet, FacetColumn } from './facet.ts'
import { Journal } from './journal.ts'
import { NameOrder } from './name-order.ts'
import { ReplicaCounts } from './replica-counts.ts'
import { grown, ResourceColumns } from './resource-columns.ts'

const rowsAtFirst = 64
const noRows: ReadonlySet<number> = new Set()
const noImages: ReadonlySet<string> = new Set()

export class ClusterTable {
  readonly #rowById = new Map<string, number>()
  readonly #nodes: (NodeView | undefined)[] = []
  readonly #freeRows: number[] = []
  readonly #replicas = new Map<string, PlacedReplica>()
  /** By node id, so that what is on a node outlives its row. */
  readonly #replicasByNode = new Map<string, Map<string, PlacedReplica>>()
  /** By row: how many replicas on it want each host port. */
  readonly #portsByRow = new Map<number, Map<string, number>>()
  readonly #rowsByImage = new Map<string, Set<number>>()
  readonly #columns: Columns
  readonly #names = new NameOrder(rowsAtFirst)
  #capacity = rowsAtFirst
  #factsEpoch = 0
  readonly codes = new RejectionCodes()
  readonly resources = new ResourceColumns(rowsAtFirst)
  readonly counts: ReplicaCounts
  readonly journal = new Journal()
  /** By row: terms of the score that depend on the node alone. */
  reliability: Float64Array = new Float64Array(rowsAtFirst)
  device: Float64Array = new Float64Array(rowsAtFirst)

  constructor() {
    this.#columns = new Columns(this.#nodes, rowsAtFirst)
    this.counts = new ReplicaCounts(this.#columns)
  }

  /** Makes or replaces; what is on the node stays on it. */
  putNode(node: NodeView): void {
    const row = this.#rowById.get(node.id)
    const before = row === undefined ? undefined : this.#nodes[row]
    if (before !== undefined && sameFacts(before, node)) return
    if (row === undefined || before === undefined) this.#addRow(node)
    else this.#changeRow(row, before, node)
  }

  /** Its replicas stay known, and are on it again should it return. */
  removeNode(nodeId: string): void {
    const row = this.#rowById.get(nodeId)
    if (row === undefined) return
    const node = this.#nodes[row]!
    this.#countReplicas(row, node, -1)
    this.#rowById.delete(nodeId)
    this.#nodes[row] = undefined
    this.#columns.clear(row)
    this.resources.clear(row)
    this.#portsByRow.delete(row)
    this.#setImages(row, node.images, noImages)
    this.#names.remove(node, row)
    this.#freeRows.push(row)
    this.#factsEpoch++
    this.journal.note(row)
  }

  /** Makes, replaces or moves it. */
  putReplica(replica: PlacedReplica): void {
    this.removeReplica(replica.id)
    this.#replicas.set(replica.id, replica)
    const { nodeId } = replica
    let onNode = this.#replicasByNode.get(nodeId)
    if (onNode === undefined) this.#replicasByNode.set(nodeId, (onNode = new Map()))
    onNode.set(replica.id, replica)
    const row = this.#rowById.get(nodeId)
    if (row !== undefined) this.#countReplica(row, this.#nodes[row]!, replica, 1)
  }

  removeReplica(replicaId: string): void {
    const replica = this.#replicas.get(replicaId)
    if (replica === undefined) return
    this.#replicas.delete(replicaId)
    const { nodeId } = replica
    const onNode = this.#replicasByNode.get(nodeId)!
    onNode.delete(replicaId)
    if (onNode.size === 0) this.#replicasByNode.delete(nodeId)
    const row = this.#rowById.get(nodeId)
    if (row !== undefined) this.#countReplica(row, this.#nodes[row]!, replica, -1)
  }

  node(nodeId: string): NodeView | undefined {
    const row = this.#rowById.get(nodeId)
    return row === undefined ? undefined : this.#nodes[row]
  }

  *nodes(): IterableIterator<NodeView> {
    for (const row of this.#rowById.values()) yield this.#nodes[row]!
  }

  get nodeCount(): number {
    return this.#rowById.size
  }

  replica(replicaId: string): PlacedReplica | undefined {
    return this.#replicas.get(replicaId)
  }

  replicasOn(nodeId: string): readonly PlacedReplica[] {
    return [...(this.#replicasByNode.get(nodeId)?.values() ?? [])]
  }

  /** Of a node that is in the table. */
  reservedOn(nodeId: string): Resources {
    const row = this.#rowById.get(nodeId)
    return row === undefined ? noResources : this.resources.reservedOn(row)
  }

  // --- for the scheduler's own parts, which work by row

  /** Rows, those without a node included. */
  get rowCount(): number {
    return this.#nodes.length
  }

  rowOf(nodeId: string): number | undefined {
    return this.#rowById.get(nodeId)
  }

  nodeAt(row: number): NodeView | undefined {
    return this.#nodes[row]
  }

  column(facet: Facet): FacetColumn {
    return this.#columns.column(facet)
  }

  /** By row: the place of its node's name among all names. */
  nameRanks(): Int32Array {
    return this.#names.ranks()
  }

  isPortTaken(row: number, port: string): boolean {
    return (this.#portsByRow.get(row)?.get(port) ?? 0) > 0
  }

  rowsWithImage(image: string): ReadonlySet<number> {
    return this.#rowsByImage.get(image) ?? noRows
  }

  /** Changes with what nodes are, but for what moves all the time, and when nodes come or go. */
  get factsEpoch(): number {
    return this.#factsEpoch
  }

  /** Changes when columns that were handed out no longer follow the table. */
  get columnsEpoch(): number {
    return this.#columns.epoch
  }

  /** To be called between decisions: forgets what has grown stale. */
  tidy(): void {
    this.counts.tidy()
    const { isCrowded } = this.codes
    if (isCrowded) {
      this.codes.forget()
      // What holds codes holds columns too, and is dropped with them.
      this.#columns.forget()
    }
    if (this.#columns.tidy(this.nodeCount) || isCrowded) this.#recountPlaces()
  }

  #addRow(node: NodeView): void {
    const row = this.#freeRows.pop() ?? this.#nodes.length
    if (row >= this.#capacity) this.#grow()
    this.#nodes[row] = node
    this.#rowById.set(node.id, row)
    this.#names.add(node, row)
    this.#write(row, node)
    this.#setImages(row, noImages, node.images)
    this.#factsEpoch++
    this.#countReplicas(row, node, 1)
    this.journal.note(row)
  }

  #changeRow(row: number, before: NodeView, node: NodeView): void {
    const moves = !samePlaces(before, node)
    const replicas = moves && this.#replicasByNode.has(node.id)
    if (replicas) this.#countReplicas(row, before, -1)
    this.#nodes[row] = node
    if (before.name !== node.name) {
      this.#names.remove(before, row)
      this.#names.add(node, row)
    }
    this.#write(row, node)
    this.#setImages(row, before.images, node.images)
    if (replicas) this.#countReplicas(row, node, 1)
    if (!sameFacts(before, node, restless)) this.#factsEpoch++
    this.journal.note(row)
  }

  #write(row: number, node: NodeView): void {
    this.#columns.put(row, node)
    this.resources.setAllocatable(row, node.allocatable)
    this.reliability[row] = reliabilityScore(node)
    this.device[row] = deviceScore(node)
  }

  #setImages(row: number, before: ReadonlySet<string>, after: ReadonlySet<string>): void {
    if (before === after) return
    for (const image of before) {
      if (after.has(image)) continue
      const rows = this.#rowsByImage.get(image)
      rows?.delete(row)
      if (rows?.size === 0) this.#rowsByImage.delete(image)
    }
    for (const image of after) {
      const rows = this.#rowsByImage.get(image)
      if (rows === undefined) this.#rowsByImage.set(image, new Set([row]))
      else rows.add(row)
    }
  }

  #countReplicas(row: number, node: NodeView, times: number): void {
    for (const replica of this.#replicasByNode.get(node.id)?.values() ?? []) {
      this.#countReplica(row, node, replica, times)
    }
  }

  #countReplica(
    row: number,
    node: NodeView,
    { kind, holding }: PlacedReplica,
    times: number,
  ): void {
    this.resources.reserve(row, kind.requests, times)
    for (const port of kind.hostPorts) this.#countPort(row, port, times)
    if (holding === 'holding') this.counts.count(row, node, kind, times)
    this.journal.note(row)
  }

  #countPort(row: number, port: string, times: number): void {
    let ports = this.#portsByRow.get(row)
    if (ports === undefined) this.#portsByRow.set(row, (ports = new Map()))
    const count = (ports.get(port) ?? 0) + times
    if (count === 0) ports.delete(port)
    else ports.set(port, count)
  }

  /** The numbers of places have changed. */
  #recountPlaces(): void {
    this.counts.reset()
    for (const [nodeId, replicas] of this.#replicasByNode) {
      const row = this.#rowById.get(nodeId)
      if (row === undefined) continue
      const node = this.#nodes[row]!
      for (const { kind, holding } of replicas.values()) {
        if (holding === 'holding') this.counts.count(row, node, kind, 1)
      }
    }
  }

  #grow(): void {
    this.#capacity *= 2
    this.#columns.grow(this.#capacity)
    this.resources.grow(this.#capacity)
    this.#names.grow(this.#capacity)
    this.reliability = grown(this.reliability, this.#capacity)
    this.device = grown(this.device, this.#capacity)
  }
}

/** Facts that no filter asks for: they change with every heartbeat. */
const restless: ReadonlySet<string> = new Set([
  'allocatable',
  'reliability',
  'batteryPercent',
  'images',
])

function sameFacts(one: NodeView, other: NodeView, but: ReadonlySet<string> = new Set()): boolean {
  if (one === other) return true
  for (const key in other) {
    if (but.has(key)) continue
    const [a, b] = [one[key as keyof NodeView], other[key as keyof NodeView]]
    if (a !== b && (typeof a !== 'object' || !sameValue(a, b))) return false
  }
  return true
}

function sameValue(one: unknown, other: unknown): boolean {
  if (one instanceof Set && other instanceof Set) return one.symmetricDifference(other).size === 0
  return JSON.stringify(one) === JSON.stringify(other)
}

function samePlaces(one: NodeView, other: NodeView): boolean {
  if (one.labels !== other.labels && JSON.stringify(one.labels) !== JSON.stringify(other.labels)) {
    return false
  }
  const keys = [
    'node',
    'zone',
    'region',
    'cloudless.io/node',
    'cloudless.io/arch',
    'cloudless.io/os',
  ]
  return keys.every((key) => placeOf(one, key) === placeOf(other, key))
}
