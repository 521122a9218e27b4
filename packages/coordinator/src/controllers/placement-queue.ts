/** Replicas that are due a decision: the highest priority first, then the oldest. A binary heap. */

export interface Due {
  readonly id: string
  readonly priority: number
  readonly createdAtMs: number
}

export class PlacementQueue {
  readonly #heap: Due[] = []
  readonly #ids = new Set<string>()

  get size(): number {
    return this.#ids.size
  }

  /** Once each. */
  add(due: Due): void {
    if (this.#ids.has(due.id)) return
    this.#ids.add(due.id)
    const heap = this.#heap
    let at = heap.push(due) - 1
    while (at > 0) {
      const parent = (at - 1) >> 1
      if (!isBefore(due, heap[parent]!)) break
      heap[at] = heap[parent]!
      at = parent
    }
    heap[at] = due
  }

  /** It is skipped when its turn comes. */
  remove(id: string): void {
    this.#ids.delete(id)
    if (this.#ids.size === 0) this.#heap.length = 0
  }

  /** Takes out the first. */
  next(): string | undefined {
    for (;;) {
      const first = this.#heap[0]
      if (first === undefined) return undefined
      this.#dropFirst()
      if (this.#ids.delete(first.id)) return first.id
    }
  }

  #dropFirst(): void {
    const heap = this.#heap
    const last = heap.pop()!
    const { length } = heap
    if (length === 0) return
    let at = 0
    for (;;) {
      let child = 2 * at + 1
      if (child >= length) break
      if (child + 1 < length && isBefore(heap[child + 1]!, heap[child]!)) child++
      if (!isBefore(heap[child]!, last)) break
      heap[at] = heap[child]!
      at = child
    }
    heap[at] = last
  }
}

function isBefore(one: Due, other: Due): boolean {
  if (one.priority !== other.priority) return one.priority > other.priority
  if (one.createdAtMs !== other.createdAtMs) return one.createdAtMs < other.createdAtMs
  return one.id < other.id
}
