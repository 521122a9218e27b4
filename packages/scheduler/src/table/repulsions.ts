/** Required anti-affinities of replicas that are there already: nothing they name may join them in their places. */
import { keyOfLabels, placeOf } from '../labels.ts'
import type { Affinity, Labels, NodeView } from '../model.ts'
import type { ColumnSource } from './columns.ts'
import { placeFacet, type FacetColumn } from './facet.ts'
import { SelectorIndex } from './label-index.ts'
import { addToPlace, type PlaceCounts } from './place-counts.ts'

export interface Repulsion {
  readonly matchLabels: Labels
  readonly topologyKey: string
  readonly column: FacetColumn
  /** Place to number of replicas: few, whatever the number of nodes. */
  readonly places: Map<number, number>
  /** The same as a column, from when it was first asked for until it is forgotten. */
  watched: PlaceCounts | undefined
}

export class Repulsions {
  readonly #columns: ColumnSource
  readonly #byKey = new Map<string, Repulsion>()
  readonly #bySelector = new SelectorIndex<Repulsion>()

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
    const { column, places, watched } = known ?? this.#add(key, affinity)
    const place = column.ids[row]!
    const inPlace = (places.get(place) ?? 0) + times
    if (inPlace === 0) places.delete(place)
    else places.set(place, inPlace)
    if (watched !== undefined) addToPlace(watched, row, times)
    return known === undefined
  }

  /** Those that concern a replica with these labels. */
  of(labels: Labels): readonly Repulsion[] {
    return this.#bySelector.contentWith(labels)
  }

  /** No columns of counts follow any more. */
  forgetWatched(): void {
    for (const repulsion of this.#byKey.values()) repulsion.watched = undefined
  }

  clear(): void {
    this.#byKey.clear()
    this.#bySelector.clear()
  }

  /** Forgets those that nobody has any more. */
  tidy(): void {
    for (const [key, repulsion] of this.#byKey) {
      if (repulsion.places.size > 0) continue
      this.#byKey.delete(key)
      this.#bySelector.remove(repulsion.matchLabels, repulsion)
    }
  }

  #add(key: string, { matchLabels, topologyKey }: Affinity): Repulsion {
    const column = this.#columns.column(placeFacet(topologyKey))
    const repulsion: Repulsion = {
      matchLabels,
      topologyKey,
      column,
      places: new Map(),
      watched: undefined,
    }
    this.#byKey.set(key, repulsion)
    this.#bySelector.add(matchLabels, repulsion)
    return repulsion
  }
}
