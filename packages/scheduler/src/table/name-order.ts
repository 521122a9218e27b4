/** The order of the nodes by name, kept as numbers, so that ties between thousands of equal nodes are cheap to break. */
import type { NodeView } from '../model.ts'

interface Named {
  readonly name: string
  /** Orders nodes of the same name, whichever came first. */
  readonly id: string
  readonly row: number
}

/** More newcomers than this are sorted in together instead of one by one. */
const insertedMax = 64

export class NameOrder {
  #ranks: Int32Array
  #sorted: Named[] = []
  #newcomers: Named[] = []
  #isNumbered = true

  constructor(rows: number) {
    this.#ranks = new Int32Array(rows)
  }

  /** By row. */
  ranks(): Int32Array {
    this.#admitNewcomers()
    if (!this.#isNumbered) this.#sorted.forEach(({ row }, rank) => (this.#ranks[row] = rank))
    this.#isNumbered = true
    return this.#ranks
  }

  add({ name, id }: NodeView, row: number): void {
    this.#newcomers.push({ name, id, row })
    this.#isNumbered = false
  }

  remove({ name, id }: NodeView, row: number): void {
    this.#admitNewcomers()
    this.#sorted.splice(this.#positionOf({ name, id, row }), 1)
    this.#isNumbered = false
  }

  grow(rows: number): void {
    const ranks = new Int32Array(rows)
    ranks.set(this.#ranks)
    this.#ranks = ranks
  }

  #admitNewcomers(): void {
    const newcomers = this.#newcomers
    if (newcomers.length === 0) return
    this.#newcomers = []
    if (newcomers.length > insertedMax) {
      this.#sorted = [...this.#sorted, ...newcomers].sort((a, b) => (isBefore(a, b) ? -1 : 1))
      return
    }
    for (const one of newcomers) this.#sorted.splice(this.#positionOf(one), 0, one)
  }

  /** Where it is, or where it belongs. */
  #positionOf(one: Named): number {
    let low = 0
    let high = this.#sorted.length
    while (low < high) {
      const middle = (low + high) >> 1
      if (isBefore(this.#sorted[middle]!, one)) low = middle + 1
      else high = middle
    }
    return low
  }
}

function isBefore(one: Named, other: Named): boolean {
  return one.name === other.name ? one.id < other.id : one.name < other.name
}
