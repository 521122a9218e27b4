/** Exact numbers of bytes out of chunks of any size. */

export class ByteReader {
  readonly #chunks: AsyncIterator<Uint8Array>
  #held: Buffer = Buffer.alloc(0)
  #at = 0

  constructor(chunks: AsyncIterable<Uint8Array>) {
    this.#chunks = chunks[Symbol.asyncIterator]()
  }

  /** Undefined when they end before. The bytes are valid as long as anybody holds them. */
  async take(count: number): Promise<Buffer | undefined> {
    if (!(await this.#hold(count))) return undefined
    const taken = this.#held.subarray(this.#at, this.#at + count)
    this.#at += count
    return taken
  }

  /** As many as there are at hand, at least one; undefined at the end. */
  async takeSome(): Promise<Buffer | undefined> {
    return (await this.#hold(1)) ? this.take(this.#held.length - this.#at) : undefined
  }

  /** As `take`, and the next one begins with them again. */
  async peek(count: number): Promise<Buffer | undefined> {
    if (!(await this.#hold(count))) return undefined
    return this.#held.subarray(this.#at, this.#at + count)
  }

  /** Ends the source early. */
  async close(): Promise<void> {
    await this.#chunks.return?.()
  }

  async #hold(count: number): Promise<boolean> {
    let bytes = this.#held.length - this.#at
    if (bytes >= count) return true
    const parts = [this.#held.subarray(this.#at)]
    while (bytes < count) {
      const next = await this.#chunks.next()
      if (next.done) break
      parts.push(Buffer.from(next.value.buffer, next.value.byteOffset, next.value.byteLength))
      bytes += next.value.byteLength
    }
    this.#held = Buffer.concat(parts)
    this.#at = 0
    return bytes >= count
  }
}
