/** What has arrived and was not read yet, as the iterable a stream's reader wants. */
export class Inbox<T> implements AsyncIterable<T>, AsyncIterator<T> {
  readonly #items: T[] = []
  #end: { readonly error: unknown } | undefined
  #waiting: PromiseWithResolvers<IteratorResult<T>> | undefined

  get length(): number {
    return this.#items.length
  }

  push(item: T): void {
    if (this.#end) return
    const waiting = this.#waiting
    if (waiting === undefined) {
      this.#items.push(item)
      return
    }
    this.#waiting = undefined
    waiting.resolve({ done: false, value: item })
  }

  /** What has arrived before is still read. */
  end(): void {
    this.#end ??= { error: undefined }
    this.#waiting?.resolve({ done: true, value: undefined })
    this.#waiting = undefined
  }

  /** As a connection that breaks: what was not read is lost. */
  fail(error: unknown): void {
    if (this.#end) return
    this.#end = { error }
    this.#items.length = 0
    this.#waiting?.reject(error)
    this.#waiting = undefined
  }

  next(): Promise<IteratorResult<T>> {
    const item = this.#items.shift()
    if (item !== undefined) return Promise.resolve({ done: false, value: item })
    if (this.#end?.error !== undefined) return Promise.reject(this.#end.error)
    if (this.#end) return Promise.resolve({ done: true, value: undefined })
    this.#waiting = Promise.withResolvers()
    return this.#waiting.promise
  }

  return(): Promise<IteratorResult<T>> {
    this.end()
    return Promise.resolve({ done: true, value: undefined })
  }

  [Symbol.asyncIterator](): AsyncIterator<T> {
    return this
  }
}
