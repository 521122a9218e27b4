/**
 * One property of the nodes as a column of small numbers: nodes with the same value have the same number.
 *
 * What a filter or a term says of a property is worked out once a value, on a node that has it, and looked up for all
 * others. Thousands of nodes have a few zones, taints and processors between them.
 */
import { labelOf, placeOf } from '../labels.ts'
import type { NodeView, Taint } from '../model.ts'

export interface Facet {
  /** Unique among the facets. */
  readonly key: string
  /** Undefined when the node has no such property. Nodes with equal values are alike in this respect. */
  readonly valueOf: (node: NodeView) => string | undefined
}

export const phaseFacet: Facet = { key: 'phase', valueOf: (node) => node.phase }
export const regionFacet: Facet = { key: 'region', valueOf: (node) => node.region }
export const zoneFacet: Facet = { key: 'zone', valueOf: (node) => node.zone }
export const iopsFacet: Facet = { key: 'iops', valueOf: (node) => node.iopsClass }
export const diskFacet: Facet = { key: 'disk', valueOf: (node) => String(node.diskPressure) }
export const platformFacet: Facet = {
  key: 'platform',
  valueOf: (node) => `${node.os}/${node.architecture}`,
}
export const policyFacet: Facet = {
  key: 'policy',
  valueOf: ({ policy }) => policy && JSON.stringify(policy),
}
export const gpuFacet: Facet = { key: 'gpu', valueOf: (node) => JSON.stringify(node.gpuModels) }
export const taintsFacet: Facet = {
  key: 'taints',
  // In their order: the first that is not tolerated is the reason.
  valueOf: (node) => (node.taints.length === 0 ? '' : node.taints.map(taintKey).join()),
}
/** Everything of a node's network but its bandwidth. */
export const networkFacet: Facet = {
  key: 'network',
  valueOf: ({ networkUnavailable, hasPublicAddress, networkFeatures, region }) =>
    JSON.stringify([networkUnavailable, hasPublicAddress, networkFeatures, region]),
}

export function labelFacet(key: string): Facet {
  return { key: `label ${key}`, valueOf: (node) => labelOf(node, key) }
}

export function placeFacet(topologyKey: string): Facet {
  return { key: `place ${topologyKey}`, valueOf: (node) => placeOf(node, topologyKey) }
}

function taintKey({ key, value, effect }: Taint): string {
  return JSON.stringify([key, value, effect])
}

/** The number of nodes that do not have the property. */
export const absentId = 0

export class FacetColumn {
  readonly facet: Facet
  /** By row; -1 where there is no node. */
  ids: Int32Array
  /** By number: a node with the value; undefined for `absentId` until one was seen. */
  readonly samples: (NodeView | undefined)[] = [undefined]
  readonly #idByValue = new Map<string, number>()
  readonly #rowsById: number[] = []

  constructor(facet: Facet, rows: number) {
    this.facet = facet
    this.ids = new Int32Array(rows).fill(-1)
  }

  /** How many numbers there are. */
  get size(): number {
    return this.samples.length
  }

  put(row: number, node: NodeView): void {
    const before = this.ids[row]!
    if (before >= 0) this.#rowsById[before]!--
    const id = this.#idOf(node)
    this.ids[row] = id
    this.#rowsById[id] = (this.#rowsById[id] ?? 0) + 1
  }

  clear(row: number): void {
    const before = this.ids[row]!
    if (before >= 0) this.#rowsById[before]!--
    this.ids[row] = -1
  }

  /** How many rows have the value that this one has, itself included. */
  rowsAlike(row: number): number {
    return this.#rowsById[this.ids[row]!]!
  }

  grow(rows: number): void {
    const ids = new Int32Array(rows).fill(-1)
    ids.set(this.ids)
    this.ids = ids
  }

  #idOf(node: NodeView): number {
    const value = this.facet.valueOf(node)
    if (value === undefined) {
      this.samples[absentId] ??= node
      return absentId
    }
    let id = this.#idByValue.get(value)
    if (id === undefined) {
      id = this.samples.push(node) - 1
      this.#idByValue.set(value, id)
    }
    return id
  }
}
