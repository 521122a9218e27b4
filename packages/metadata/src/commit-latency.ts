/** How long the newest commits took, as every engine tells it. */

const samplesKept = 100

export class CommitLatency {
  readonly #samplesMs: number[] = []

  add(ms: number): void {
    this.#samplesMs.push(ms)
    if (this.#samplesMs.length > samplesKept) this.#samplesMs.shift()
  }

  /** 0 before the first. */
  get medianMs(): number {
    const sorted = this.#samplesMs.toSorted((a, b) => a - b)
    return sorted[Math.floor(sorted.length / 2)] ?? 0
  }
}
