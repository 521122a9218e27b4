/** What counters of one replica go up by a second. Pure but for what it remembers. */

interface Sample {
  readonly atMs: number
  readonly value: number
}

/** The rate is the mean over about so long: one scrape's worth would be mostly chance. */
const windowMs = 15_000
/** Of less time no rate can be told. */
const elapsedMsMin = 500

export class CounterRates {
  readonly #samples = new Map<string, Sample[]>()

  /**
   * Undefined for the first value and for one that went down: the counter began anew, or a part of it is gone, and what
   * it went up by is not known.
   */
  rate(name: string, value: number, atMs: number): number | undefined {
    const known = this.#samples.get(name) ?? []
    const isReset = known.some((sample) => sample.value > value)
    const kept = isReset ? [] : known
    // One that is older than the window stays until the next is too: the mean is never over less.
    while (kept.length > 1 && atMs - kept[1]!.atMs >= windowMs) kept.shift()
    this.#samples.set(name, [...kept, { atMs, value }])
    const [oldest] = kept
    if (!oldest || atMs - oldest.atMs < elapsedMsMin) return undefined
    return ((value - oldest.value) / (atMs - oldest.atMs)) * 1_000
  }
}
