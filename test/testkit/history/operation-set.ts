/** A set of operations by number, with a hash that is kept as it changes. */
import { seededRandom } from '@cloudless/base'

/** Any will do, as long as it is the same each time. */
const seed = 1

export class OperationSet {
  readonly #words: Uint32Array
  readonly #hashes: Uint32Array
  #hash = 0

  constructor(size: number, from?: OperationSet) {
    if (from !== undefined) {
      this.#words = from.#words.slice()
      this.#hashes = from.#hashes
      this.#hash = from.#hash
      return
    }
    const random = seededRandom(seed)
    this.#words = new Uint32Array(Math.ceil(size / 32))
    this.#hashes = Uint32Array.from({ length: size }, () => random.next() * 2 ** 32)
  }

  /** Equal for equal sets. */
  get hash(): number {
    return this.#hash
  }

  /** It must not be in it. */
  add(operation: number): void {
    this.#flip(operation)
  }

  /** It must be in it. */
  delete(operation: number): void {
    this.#flip(operation)
  }

  copy(): OperationSet {
    return new OperationSet(0, this)
  }

  equals(other: OperationSet): boolean {
    return this.#words.every((word, n) => word === other.#words[n])
  }

  #flip(operation: number): void {
    this.#words[operation >>> 5]! ^= 1 << (operation & 31)
    this.#hash = (this.#hash ^ this.#hashes[operation]!) >>> 0
  }
}
