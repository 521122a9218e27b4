/** The columns of the nodes' properties: each is made when it is first asked for, and then kept up to date. */
import type { NodeView } from '../model.ts'
import { FacetColumn, type Facet } from './facet.ts'

export interface ColumnSource {
  column(facet: Facet): FacetColumn
}

/** Manifests may name any label; beyond this all columns are dropped and made anew as they are asked for. */
const columnsMax = 256
/** Values that no node has any more are forgotten with their column when there are this many times the nodes. */
const staleFactor = 4

export class Columns implements ColumnSource {
  readonly #nodes: readonly (NodeView | undefined)[]
  readonly #byKey = new Map<string, FacetColumn>()
  #epoch = 0
  #rows: number

  /** `nodes` by row; it changes as the table does. */
  constructor(nodes: readonly (NodeView | undefined)[], rows: number) {
    this.#nodes = nodes
    this.#rows = rows
  }

  /** Changes when columns were dropped: whoever holds one must ask again. */
  get epoch(): number {
    return this.#epoch
  }

  column(facet: Facet): FacetColumn {
    let column = this.#byKey.get(facet.key)
    if (column !== undefined) return column
    column = new FacetColumn(facet, this.#rows)
    this.#nodes.forEach((node, row) => node && column!.put(row, node))
    this.#byKey.set(facet.key, column)
    return column
  }

  put(row: number, node: NodeView): void {
    for (const column of this.#byKey.values()) column.put(row, node)
  }

  clear(row: number): void {
    for (const column of this.#byKey.values()) column.clear(row)
  }

  /** To be called between decisions. True when columns were dropped. */
  tidy(nodeCount: number): boolean {
    const valuesMax = staleFactor * Math.max(nodeCount, 256)
    let isStale = this.#byKey.size > columnsMax
    for (const column of this.#byKey.values()) isStale ||= column.size > valuesMax
    if (isStale) this.forget()
    return isStale
  }

  /** To be called between decisions. */
  forget(): void {
    this.#byKey.clear()
    this.#epoch++
  }

  grow(rows: number): void {
    this.#rows = rows
    for (const column of this.#byKey.values()) column.grow(rows)
  }
}
