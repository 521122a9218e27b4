/**
 * Whether what runs elsewhere would let a replica onto a node once some of those on it are gone: by the very filters
 * that choose, asked of the table with the victims taken off for a moment.
 *
 * Taking replicas away can only help against anti-affinity and spread, and only those that are shunned, shun, or are
 * counted can help. It can only harm an affinity, and never mends one: a node that is not where the replica wants to be
 * has nothing on it that it wants to be near.
 */
import { affinityFilter } from '../filters/affinity.ts'
import type { PlaceCheck } from '../filters/filter.ts'
import { placeFilters } from '../filters/all-filters.ts'
import { hasLabels } from '../labels.ts'
import type { ReplicaKind } from '../model.ts'
import { Attempt } from '../schedule.ts'
import type { ClusterTable } from '../table/cluster-table.ts'
import { countAt, type PlaceCounts } from '../table/place-counts.ts'
import type { Way, WayGroup } from './room.ts'
import { shunningOf } from './shunning.ts'
import { victimsOf } from './victims.ts'

export class PlaceTest {
  readonly #table: ClusterTable
  readonly #kind: ReplicaKind
  readonly #matters = new WeakMap<ReplicaKind, boolean>()
  #factsEpoch = -1
  #countsEpoch = -1
  #affinity: readonly PlaceCheck[] = []
  #others: readonly PlaceCheck[] = []
  /** What it shuns, and what shuns it, by place. */
  #shunned: readonly PlaceCounts[] = []
  #shunning: readonly PlaceCounts[] = []

  constructor(table: ClusterTable, kind: ReplicaKind) {
    this.#table = table
    this.#kind = kind
  }

  /** To be called before each plan. False when nothing that runs elsewhere matters. */
  begin(): boolean {
    const { factsEpoch, counts } = this.#table
    if (this.#factsEpoch !== factsEpoch || this.#countsEpoch !== counts.epoch) this.#prepare()
    this.#beginChecks()
    return this.#affinity.length + this.#others.length > 0
  }

  /** Whether any victims on the row could make it do. */
  couldDo(row: number, way: () => Way | undefined): boolean {
    if (isRejected(this.#affinity, row)) return false
    if (!isRejected(this.#others, row)) return true
    const groups = way()?.groups.filter((group) => this.#doesMatter(group)) ?? []
    return groups.length > 0 && this.#areAllOfIt(row, groups)
  }

  /** Whether no more than these are shunned in the row's places, or shun: with others there as well it is no use. */
  #areAllOfIt(row: number, groups: readonly WayGroup[]): boolean {
    let [shunned, shunning] = [0, 0]
    for (const { size, occupants } of groups) {
      if (shunningOf(this.#kind, occupants.kind).length > 0) shunned += size
      shunning += size * shunningOf(occupants.kind, this.#kind).length
    }
    return (
      this.#shunned.every((held) => countAt(held, row) <= shunned) &&
      this.#shunning.every((held) => countAt(held, row) <= shunning)
    )
  }

  /** The way with what must all go marked; undefined when not even taking everything would do. */
  withMandatory(row: number, way: Way): Way | undefined {
    if (!isRejected(this.#others, row)) return way
    const all = way.groups.map(({ size }) => size)
    if (this.#isRejectedWithout(row, way, all, this.#others)) return undefined
    const groups = way.groups.map((group, n) => {
      if (group.isMandatory || !this.#doesMatter(group)) return group
      const allButOne = all.with(n, group.size - 1)
      const isMandatory = this.#isRejectedWithout(row, way, allButOne, this.#others)
      return isMandatory ? { ...group, isMandatory } : group
    })
    return { ...way, groups }
  }

  /** With so many of each group gone. */
  accepts(row: number, way: Way, taken: readonly number[]): boolean {
    return !this.#isRejectedWithout(row, way, taken, [...this.#affinity, ...this.#others])
  }

  #prepare(): void {
    const checksOf = (filters: typeof placeFilters): PlaceCheck[] =>
      filters.flatMap(({ check }) => check(this.#kind, this.#table) ?? [])
    this.#affinity = checksOf([affinityFilter])
    this.#others = checksOf(placeFilters.filter((filter) => filter !== affinityFilter))
    const { antiAffinity, labels } = this.#kind
    const { counts } = this.#table
    this.#shunned = antiAffinity
      .filter(({ required, subject }) => required && subject === 'workload')
      .map(({ matchLabels, topologyKey }) => counts.countsOf({ matchLabels }, topologyKey))
    this.#shunning = counts.repulsionsOf(labels)
    this.#factsEpoch = this.#table.factsEpoch
    this.#countsEpoch = this.#table.counts.epoch
  }

  #beginChecks(): void {
    for (const check of this.#affinity) check.begin?.()
    for (const check of this.#others) check.begin?.()
  }

  #isRejectedWithout(
    row: number,
    way: Way,
    taken: readonly number[],
    checks: readonly PlaceCheck[],
  ): boolean {
    const attempt = new Attempt(this.#table)
    try {
      for (const { id } of victimsOf(this.#table, row, way, taken)) attempt.take(id)
      this.#beginChecks()
      return isRejected(checks, row)
    } finally {
      attempt.undo()
      this.#beginChecks()
    }
  }

  /** Whether one of them going could change what anti-affinity and spread say. */
  #doesMatter({ occupants: { kind } }: WayGroup): boolean {
    let matters = this.#matters.get(kind)
    if (matters === undefined) {
      matters = isConcerned(this.#kind, kind)
      this.#matters.set(kind, matters)
    }
    return matters
  }
}

function isConcerned(pending: ReplicaKind, victim: ReplicaKind): boolean {
  const isCounted = pending.topologySpread.some(({ required, matchLabels }) =>
    !required
      ? false
      : Object.keys(matchLabels).length === 0
        ? victim.workloadId === pending.workloadId
        : hasLabels(victim.labels, matchLabels),
  )
  const shuns = (one: ReplicaKind, other: ReplicaKind): boolean => shunningOf(one, other).length > 0
  return isCounted || shuns(pending, victim) || shuns(victim, pending)
}

function isRejected(checks: readonly PlaceCheck[], row: number): boolean {
  for (const { reject } of checks) if (reject(row) !== undefined) return true
  return false
}
