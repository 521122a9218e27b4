/** Required anti-affinities of replicas that are there already: nothing they name may join them in their places. */
import { hasLabels, keyOfLabels, placeOf } from '../labels.ts'
import type { Affinity, Labels, NodeView } from '../model.ts'
import type { ColumnSource } from './columns.ts'
import { placeFacet } from './facet.ts'
import { addToPlace, type PlaceCounts } from './place-counts.ts'

export interface Repulsion extends PlaceCounts {
  readonly matchLabels: Labels
}

export class Repulsions {
  readonly #columns: ColumnSource
  readonly #byKey = new Map<string, Repulsion>()
  /** By one of the labels each names, so that a newcomer need not be held against all of them. */
  readonly #byLabel = new Map<string, Set<Repulsion>>()

  constructor(columns: ColumnSource) {
    this.#columns = columns
  }

  get size(): number {
    return this.#byKey.size
  }

  /** `times` is 1 or -1. True when it is the first of its kind. */
  count(row: number, node: NodeView, affinity: Affinity, times: number): boolean {
    const { matchLabels, topologyKey } = affinity
    if (placeOf(node, topologyKey) === undefined) return false
    const key = JSON.stringify([keyOfLabels(matchLabels), topologyKey])
    const known = this.#byKey.get(key)
    const repulsion = known ?? this.#add(key, affinity)
    addToPlace(repulsion, row, times)
    return known === undefined
  }

  /** Those that concern a replica with these labels. */
  of(labels: Labels): readonly Repulsion[] {
    const candidates = [...(this.#byLabel.get('') ?? [])]
    for (const [key, value] of Object.entries(labels)) {
      candidates.push(...(this.#byLabel.get(labelKey(key, value)) ?? []))
    }
    return candidates.filter(({ matchLabels }) => hasLabels(labels, matchLabels))
  }

  clear(): void {
    this.#byKey.clear()
    this.#byLabel.clear()
  }

  /** Forgets those that nobody has any more. */
  tidy(): void {
    for (const [key, repulsion] of this.#byKey) {
      if (repulsion.total > 0) continue
      this.#byKey.delete(key)
      const label = firstLabelOf(repulsion.matchLabels)
      const siblings = this.#byLabel.get(label)!
      siblings.delete(repulsion)
      if (siblings.size === 0) this.#byLabel.delete(label)
    }
  }

  #add(key: string, { matchLabels, topologyKey }: Affinity): Repulsion {
    const column = this.#columns.column(placeFacet(topologyKey))
    const repulsion = { matchLabels, column, counts: new Int32Array(column.size), total: 0 }
    this.#byKey.set(key, repulsion)
    const label = firstLabelOf(matchLabels)
    const siblings = this.#byLabel.get(label)
    if (siblings === undefined) this.#byLabel.set(label, new Set([repulsion]))
    else siblings.add(repulsion)
    return repulsion
  }
}

/** Empty when no labels are named: that concerns everybody. */
function firstLabelOf(matchLabels: Labels): string {
  const [first] = Object.entries(matchLabels)
  return first === undefined ? '' : labelKey(...first)
}

function labelKey(key: string, value: string): string {
  return JSON.stringify([key, value])
}
