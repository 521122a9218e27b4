/** What the filters say of the nodes by what they are: each worked out once a distinct value and looked up by row. */
import { factFilters } from './filters/all-filters.ts'
import type { FactCheck } from './filters/filter.ts'
import type { ReplicaKind } from './model.ts'
import { accepted } from './rejections.ts'
import type { ClusterTable } from './table/cluster-table.ts'
import type { FacetColumn } from './table/facet.ts'

interface LookedUp {
  readonly filter: string
  readonly check: FactCheck
  readonly column: FacetColumn
  /** By the column's number. */
  codes: Uint16Array
  known: number
}

export class FactVerdicts {
  readonly #table: ClusterTable
  readonly #lookups: readonly LookedUp[]

  constructor(kind: ReplicaKind, table: ClusterTable) {
    this.#table = table
    this.#lookups = factFilters.flatMap(({ name, checks }) =>
      checks(kind).map((check) => {
        const column = table.column(check.facet)
        return { filter: name, check, column, codes: new Uint16Array(column.size), known: 0 }
      }),
    )
    this.refresh()
  }

  /** To be called before rows are looked up: nodes may have values that were not there before. */
  refresh(): void {
    for (const lookup of this.#lookups) {
      if (lookup.known < lookup.column.size) this.#learn(lookup)
      // Until it is seen for the first time nothing is known of being without it.
      else if (lookup.known > 0) lookup.codes[0] = this.#codeOf(lookup, 0)
    }
  }

  /** The first reason against the node of the row. */
  codeOf(row: number): number {
    for (const { column, codes } of this.#lookups) {
      const code = codes[column.ids[row]!]!
      if (code !== accepted) return code
    }
    return accepted
  }

  /** Sets the codes of the rows from `first` to before `last` that are accepted so far. */
  mark(verdicts: Uint16Array, first: number, last: number): void {
    for (const { column, codes } of this.#lookups) {
      const { ids } = column
      for (let row = first; row < last; row++) {
        if (verdicts[row] === accepted) verdicts[row] = codes[ids[row]!]!
      }
    }
  }

  #learn(lookup: LookedUp): void {
    const { column } = lookup
    if (lookup.codes.length < column.size) {
      const wider = new Uint16Array(column.size * 2)
      wider.set(lookup.codes)
      lookup.codes = wider
    }
    lookup.codes[0] = this.#codeOf(lookup, 0)
    for (let id = Math.max(1, lookup.known); id < column.size; id++) {
      lookup.codes[id] = this.#codeOf(lookup, id)
    }
    lookup.known = column.size
  }

  #codeOf({ filter, check, column }: LookedUp, id: number): number {
    const sample = column.samples[id]
    const reason = sample && check.reject(sample)
    return reason === undefined ? accepted : this.#table.codes.codeOf(filter, reason)
  }
}
