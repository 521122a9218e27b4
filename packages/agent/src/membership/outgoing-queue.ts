/** The messages of a stream that are waiting to be sent, as the iterable that the RPC client wants. */
import { CloudlessError } from '@cloudless/base'

/** More than this waiting means that the peer has stopped reading. */
const lengthMax = 4_096

export class OutgoingQueue<T> {
  readonly #items: T[] = []
  #wake: () => void = () => {}
  #ended = false

  /** `resource_exhausted` when the peer does not keep up. Ignored after end. */
  push(item: T): void {
    if (this.#ended) return
    if (this.#items.length >= lengthMax) {
      throw new CloudlessError('resource_exhausted', `${lengthMax} messages wait to be sent`)
    }
    this.#items.push(item)
    this.#wake()
  }

  /** What is waiting is still sent. */
  end(): void {
    this.#ended = true
    this.#wake()
  }

  async *drain(): AsyncIterable<T> {
    for (;;) {
      const item = this.#items.shift()
      if (item !== undefined) yield item
      else if (this.#ended) return
      else await new Promise<void>((resolve) => (this.#wake = resolve))
    }
  }
}
