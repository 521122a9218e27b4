/** What goes to the process: pushed from several sides, pulled by the stream, bounded. */

/** More than this waiting and stdin is not read on until the stream has taken some. */
const itemsMax = 64

export class InputQueue<T> implements AsyncIterable<T> {
  readonly #items: T[] = []
  #wakeReader: (() => void) | undefined
  #wakeWriters: (() => void)[] = []
  #ended = false

  /** Resolves when there is room for more; what is pushed after the end is dropped. */
  async push(item: T): Promise<void> {
    if (this.#ended) return
    this.#items.push(item)
    this.#wakeReader?.()
    while (this.#items.length > itemsMax && !this.#ended) {
      await new Promise<void>((wake) => this.#wakeWriters.push(wake))
    }
  }

  end(): void {
    this.#ended = true
    this.#wakeReader?.()
    this.#release()
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<T> {
    for (;;) {
      const item = this.#items.shift()
      if (item !== undefined) {
        this.#release()
        yield item
      } else if (this.#ended) return
      else await new Promise<void>((wake) => (this.#wakeReader = wake))
    }
  }

  #release(): void {
    for (const wake of this.#wakeWriters.splice(0)) wake()
  }
}
