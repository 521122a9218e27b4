/** Replicas counted by place. */
import { absentId, type FacetColumn } from './facet.ts'

/** Replicas by the number of their place in `column`. Follows the table until it is said to be stale. */
export interface PlaceCounts {
  readonly column: FacetColumn
  /** May be shorter than there are places, those beyond it have none; replaced when it grows. */
  counts: Int32Array
  /** In all places together; replicas on nodes that are in no place do not count. */
  total: number
}

export function addToPlace(held: PlaceCounts, row: number, times: number): void {
  const place = held.column.ids[row]!
  if (place === absentId) return
  held.total += times
  if (place >= held.counts.length) {
    const wider = new Int32Array(Math.max(held.column.size, held.counts.length * 2))
    wider.set(held.counts)
    held.counts = wider
  }
  held.counts[place]! += times
}

/** In the place of the row. */
export function countAt({ counts, column }: PlaceCounts, row: number): number {
  return counts[column.ids[row]!] ?? 0
}
