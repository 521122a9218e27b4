/** What is due when, the earliest first: a binary heap. */

interface Entry<T> {
  readonly dueMs: number
  readonly item: T
}

export class DeadlineQueue<T> {
  readonly #heap: Entry<T>[] = []

  /** The earliest. */
  get first(): Entry<T> | undefined {
    return this.#heap[0]
  }

  add(dueMs: number, item: T): void {
    const heap = this.#heap
    const entry = { dueMs, item }
    let at = heap.push(entry) - 1
    while (at > 0) {
      const parent = (at - 1) >> 1
      if (heap[parent]!.dueMs <= dueMs) break
      heap[at] = heap[parent]!
      at = parent
    }
    heap[at] = entry
  }

  /** Takes out the earliest. */
  take(): Entry<T> | undefined {
    const heap = this.#heap
    const first = heap[0]
    const last = heap.pop()
    if (last === undefined || heap.length === 0) return first
    let at = 0
    for (;;) {
      let child = 2 * at + 1
      if (child >= heap.length) break
      if (child + 1 < heap.length && heap[child + 1]!.dueMs < heap[child]!.dueMs) child++
      if (heap[child]!.dueMs >= last.dueMs) break
      heap[at] = heap[child]!
      at = child
    }
    heap[at] = last
    return first
  }
}
