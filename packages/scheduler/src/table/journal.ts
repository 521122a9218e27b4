/** Which rows changed, in order: whoever kept something of the rows looks again at those that changed since. */

/** Those who fall further behind look at everything again. */
const remembered = 2 ** 16

export class Journal {
  readonly #rows = new Int32Array(remembered)
  #position = 0

  /** How many changes there have been. */
  get position(): number {
    return this.#position
  }

  note(row: number): void {
    this.#rows[this.#position++ % remembered] = row
  }

  /** Calls with each row that changed since, some more than once. False when that is not known any more. */
  since(position: number, visit: (row: number) => void): boolean {
    if (this.#position - position > remembered) return false
    for (let at = position; at < this.#position; at++) visit(this.#rows[at % remembered]!)
    return true
  }
}
