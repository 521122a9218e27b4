/**
 * Which replicas of one node to stop so that enough comes free: the fewest, then those whose highest priority is lowest,
 * then those with the lowest sum of priorities. Pure: groups and numbers in, how many of each group out.
 *
 * Replicas that are alike are one group, so a node with a hundred replicas of five workloads is a search over five
 * numbers. It goes by size, smallest first, and leaves out what cannot cover what is lacking or cannot be better than
 * what was found. Beyond `stepsMax` it takes the best of the size it is at, or gives back one by one from taking all.
 */

/** Replicas of one node that are alike in everything that matters here. */
export interface VictimGroup {
  readonly workloadId: string
  readonly priority: number
  readonly size: number
  /** What stopping one of them frees, in the order of `lacking`. */
  readonly frees: readonly number[]
  /** Nothing will do without all of them: they have a port that is wanted, or are shunned. */
  readonly isMandatory: boolean
}

/** What making room costs. Fewer, then the lower `highest`, then the lower `sum` is better. */
export interface Toll {
  readonly count: number
  /** Of the victims' priorities; -Infinity when there are none. */
  readonly highest: number
  readonly sum: number
}

export interface Sacrifice extends Toll {
  /** How many of each group. */
  readonly taken: readonly number[]
}

export interface VictimSearchOptions {
  /** How many replicas of a workload may be stopped. */
  readonly spareOf: (workloadId: string) => number
  /** What else must hold once these are gone; asked when what is lacking is covered. */
  readonly accepts?: (taken: readonly number[]) => boolean
  /** For tests. */
  readonly stepsMax?: number
}

/** Of one node: a search through all ways of choosing among a hundred workloads would take longer than the choice is worth. */
export const victimSearchStepsMax = 10_000

/** `groups` lowest priority first. Undefined when no victims would do. */
export function fewestVictims(
  groups: readonly VictimGroup[],
  lacking: readonly number[],
  options: VictimSearchOptions,
): Sacrifice | undefined {
  return new VictimSearch(groups, lacking, options).run()
}

/** No way takes fewer victims than this; -1 when not even all of them would do. Budgets are not looked at. */
export function fewestVictimsBound(
  groups: readonly VictimGroup[],
  lacking: readonly number[],
): number {
  let mandatory = 0
  for (const { isMandatory, size } of groups) if (isMandatory) mandatory += size
  let fewest = mandatory
  for (let at = 0; at < lacking.length; at++) {
    const needed = neededFor(groups, at, lacking[at]!)
    if (needed < 0) return -1
    if (needed > fewest) fewest = needed
  }
  return fewest
}

/** How many it takes when those that free most go first. */
function neededFor(groups: readonly VictimGroup[], at: number, lacking: number): number {
  if (lacking <= 0) return 0
  let left = lacking
  let needed = 0
  for (const { frees, size } of largestFirst(groups, at)) {
    const each = frees[at]!
    if (each <= 0) return -1
    const count = Math.min(size, Math.ceil(left / each))
    needed += count
    left -= count * each
    if (left <= 0) return needed
  }
  return -1
}

function largestFirst(groups: readonly VictimGroup[], at: number): readonly VictimGroup[] {
  return groups.length < 2 ? groups : groups.toSorted((a, b) => b.frees[at]! - a.frees[at]!)
}

export function isCheaper(one: Toll, other: Toll): boolean {
  if (one.count !== other.count) return one.count < other.count
  if (one.highest !== other.highest) return one.highest < other.highest
  return one.sum < other.sum
}

class VictimSearch {
  readonly #groups: readonly VictimGroup[]
  /** Still to be freed. */
  readonly #lacking: number[]
  readonly #spare = new Map<string, number>()
  readonly #accepts: (taken: readonly number[]) => boolean
  readonly #taken: number[]
  /** By resource: the numbers of the groups, those that free most first. */
  readonly #largest: readonly (readonly number[])[]
  #stepsLeft: number
  #best: Sacrifice | undefined

  constructor(
    groups: readonly VictimGroup[],
    lacking: readonly number[],
    { spareOf, accepts = () => true, stepsMax = victimSearchStepsMax }: VictimSearchOptions,
  ) {
    this.#groups = groups
    this.#lacking = [...lacking]
    this.#accepts = accepts
    this.#taken = groups.map(() => 0)
    this.#stepsLeft = stepsMax
    for (const { workloadId } of groups) {
      if (!this.#spare.has(workloadId)) this.#spare.set(workloadId, spareOf(workloadId))
    }
    const numbers = groups.map((_, n) => n)
    this.#largest = lacking.map((_, at) =>
      numbers.toSorted((a, b) => groups[b]!.frees[at]! - groups[a]!.frees[at]!),
    )
  }

  run(): Sacrifice | undefined {
    const forced = this.#takeMandatory()
    if (forced === undefined) return undefined
    const available = this.#groups.reduce((sum, _, n) => sum + this.#most(n), 0)
    for (let more = 0; more <= available; more++) {
      if (!this.#canCover(0, more)) continue
      this.#extend(0, more, forced)
      if (this.#best !== undefined) return this.#best
      if (this.#stepsLeft <= 0) return this.#giveBackOneByOne()
    }
    return undefined
  }

  #takeMandatory(): Toll | undefined {
    let toll: Toll = { count: 0, highest: -Infinity, sum: 0 }
    for (let n = 0; n < this.#groups.length; n++) {
      const { isMandatory, size } = this.#groups[n]!
      if (!isMandatory) continue
      if (this.#most(n) < size) return undefined
      this.#take(n, size)
      toll = this.#with(toll, n, size)
    }
    return toll
  }

  /** Chooses `left` more among the groups from `first` on. */
  #extend(first: number, left: number, toll: Toll): void {
    if (--this.#stepsLeft < 0) return
    if (left === 0) {
      const sacrifice = { ...toll, taken: [...this.#taken] }
      if (this.#isBetter(toll) && this.#isCovered() && this.#accepts(sacrifice.taken)) {
        this.#best = sacrifice
      }
      return
    }
    if (first === this.#groups.length || !this.#canCover(first, left)) return
    if (!this.#isBetter(this.#with(toll, first, left))) return
    for (let count = Math.min(left, this.#most(first)); count >= 0; count--) {
      this.#take(first, count)
      this.#extend(first + 1, left - count, this.#with(toll, first, count))
      this.#take(first, -count)
      if (this.#stepsLeft < 0) return
    }
  }

  /** The way out of a search that takes too long: no victim of the answer could be left out, but there may be a smaller one. */
  #giveBackOneByOne(): Sacrifice | undefined {
    for (let n = 0; n < this.#groups.length; n++) this.#take(n, this.#most(n))
    if (!this.#isCovered() || !this.#accepts(this.#taken)) return undefined
    for (let n = this.#groups.length - 1; n >= 0; n--) {
      while (this.#taken[n]! > 0 && !this.#groups[n]!.isMandatory) {
        this.#take(n, -1)
        if (this.#isCovered() && this.#accepts(this.#taken)) continue
        this.#take(n, 1)
        break
      }
    }
    let toll: Toll = { count: 0, highest: -Infinity, sum: 0 }
    this.#taken.forEach((count, n) => (toll = this.#with(toll, n, count)))
    return { ...toll, taken: [...this.#taken] }
  }

  /** How many more of the group may be taken. */
  #most(n: number): number {
    const { size, workloadId } = this.#groups[n]!
    return Math.max(0, Math.min(size - this.#taken[n]!, this.#spare.get(workloadId)!))
  }

  #take(n: number, count: number): void {
    if (count === 0) return
    const { frees, workloadId } = this.#groups[n]!
    this.#taken[n]! += count
    this.#spare.set(workloadId, this.#spare.get(workloadId)! - count)
    for (let at = 0; at < frees.length; at++) this.#lacking[at]! -= count * frees[at]!
  }

  #with(toll: Toll, n: number, count: number): Toll {
    if (count === 0) return toll
    const { priority } = this.#groups[n]!
    return {
      count: toll.count + count,
      highest: Math.max(toll.highest, priority),
      sum: toll.sum + count * priority,
    }
  }

  #isBetter(toll: Toll): boolean {
    return this.#best === undefined || isCheaper(toll, this.#best)
  }

  #isCovered(): boolean {
    for (const left of this.#lacking) if (left > 0) return false
    return true
  }

  /** Whether `count` of the groups from `first` on could cover what is lacking, each resource looked at by itself. */
  #canCover(first: number, count: number): boolean {
    for (let at = 0; at < this.#lacking.length; at++) {
      let lacking = this.#lacking[at]!
      let left = count
      for (const n of this.#largest[at]!) {
        if (lacking <= 0 || left === 0) break
        if (n < first) continue
        const taken = Math.min(left, this.#most(n))
        lacking -= taken * this.#groups[n]!.frees[at]!
        left -= taken
      }
      if (lacking > 0) return false
    }
    return true
  }
}
