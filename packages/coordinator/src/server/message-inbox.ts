/** The messages of one caller between their arrival and whoever reads them, one reader, in order. */

export interface InboxSource {
  /** Nothing more is to come until `resume`. */
  readonly pause: () => void
  readonly resume: () => void
}

/** Read ahead of the reader; then the source is paused. */
const unreadMax = 64

export class MessageInbox<T> implements AsyncIterableIterator<T, undefined> {
  readonly #source: InboxSource
  #unread: T[] = []
  #isEnded = false
  #isPaused = false
  #wake: ((result: IteratorResult<T, undefined>) => void) | undefined

  constructor(source: InboxSource) {
    this.#source = source
  }

  push(message: T): void {
    if (this.#isEnded) return
    if (this.#wake !== undefined) {
      this.#wakeWith({ done: false, value: message })
      return
    }
    this.#unread.push(message)
    if (this.#unread.length < unreadMax || this.#isPaused) return
    this.#isPaused = true
    this.#source.pause()
  }

  /** No more comes; what is unread can still be read. */
  end(): void {
    this.#isEnded = true
    this.#wakeWith({ done: true, value: undefined })
  }

  /** Nobody reads any more. */
  close(): void {
    this.#unread = []
    this.end()
  }

  next(): Promise<IteratorResult<T, undefined>> {
    if (this.#unread.length > 0) {
      const value = this.#unread.shift()!
      if (this.#isPaused && this.#unread.length === 0) {
        this.#isPaused = false
        this.#source.resume()
      }
      return Promise.resolve({ done: false, value })
    }
    if (this.#isEnded) return Promise.resolve({ done: true, value: undefined })
    return new Promise((resolve) => (this.#wake = resolve))
  }

  return(): Promise<IteratorResult<T, undefined>> {
    this.close()
    return Promise.resolve({ done: true, value: undefined })
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  #wakeWith(result: IteratorResult<T, undefined>): void {
    const wake = this.#wake
    this.#wake = undefined
    wake?.(result)
  }
}
