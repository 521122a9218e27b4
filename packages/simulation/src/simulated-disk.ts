/**
 * What of the metadata store is on the coordinator's disk: it outlives the process, and the machine's power.
 *
 * Commits come in groups, each one write and one sync, as SQLite's do. A group is on the disk when its sync has ended; one
 * that a crash interrupts is there as a whole or not at all, and nobody was told which.
 */
import { between, type Random } from '@cloudless/base'
import type {
  Change,
  Entry,
  Precondition,
  Transaction,
  TransactionResult,
  Write,
} from '@cloudless/metadata'
import { chance } from './random-streams.ts'

export interface DiskQuality {
  /** Of one sync, milliseconds. */
  readonly syncMsMin: number
  readonly syncMsMax: number
}

export type StoreOperation =
  | { readonly kind: 'transact'; readonly transaction: Required<Transaction> }
  | { readonly kind: 'grant-lease'; readonly leaseId: string; readonly ttlMs: number }
  | { readonly kind: 'revoke-lease'; readonly leaseId: string }
  | { readonly kind: 'compact'; readonly revision: number }

export type StoreOutcome =
  | TransactionResult
  | { readonly kind: 'lease-gone'; readonly leaseId: string }

export interface Committed {
  readonly revision: number
  readonly changes: readonly Change[]
}

interface Stored extends Entry {
  readonly leaseId: string | undefined
}

/** So many revisions can be watched from. */
const historyRevisionsMax = 10_000
/** Of the whole group under way when the power goes. */
const survivesCrashShare = 0.5

export class SimulatedDisk {
  readonly #random: Random
  #entries = new Map<string, Stored>()
  readonly #leases = new Map<string, number>()
  readonly #history: Committed[] = []
  #revision = 0
  #compactedRevision = 0
  #bytes = 0
  /** As it was some commits ago; kept only for the canary. */
  #earlier = { entries: new Map<string, Stored>(), revision: 0 }
  #stalledUntilMs = 0
  #syncing: readonly StoreOperation[] | undefined
  quality: DiskQuality
  /** Whether nothing more can be written. */
  isFull = false
  /** A bug to be found: what the last syncs have written is not there after a crash. */
  losesAcknowledgedWrites = false
  /** Called with every commit that changes something, also with one that a crash left unanswered. */
  onCommitted: (committed: Committed) => void = () => undefined

  constructor(random: Random, quality: DiskQuality) {
    this.#random = random
    this.quality = quality
  }

  get revision(): number {
    return this.#revision
  }

  get compactedRevision(): number {
    return this.#compactedRevision
  }

  get sizeBytes(): number {
    return 4_096 + this.#bytes
  }

  get leases(): ReadonlyMap<string, number> {
    return this.#leases
  }

  get(key: string): Entry | undefined {
    const stored = this.#entries.get(key)
    return stored && entryOf(stored)
  }

  keys(): string[] {
    return [...this.#entries.keys()].sort()
  }

  changesAfter(revision: number): readonly Committed[] {
    const first = this.#history.findIndex((committed) => committed.revision > revision)
    return first === -1 ? [] : this.#history.slice(first)
  }

  /** Syncs take so much longer until then. */
  stall(untilMs: number): void {
    this.#stalledUntilMs = Math.max(this.#stalledUntilMs, untilMs)
  }

  /** The group is on its way to the disk; how long its sync takes. */
  beginSync(group: readonly StoreOperation[], nowMs: number): number {
    this.#syncing = group
    const { syncMsMin, syncMsMax } = this.quality
    return Math.max(0, this.#stalledUntilMs - nowMs) + between(this.#random, syncMsMin, syncMsMax)
  }

  /** The group is on the disk. */
  endSync(): { readonly outcomes: StoreOutcome[]; readonly commits: Committed[] } {
    const group = this.#syncing ?? []
    this.#syncing = undefined
    const commits: Committed[] = []
    const outcomes = group.map((operation) => this.#apply(operation, commits))
    for (const committed of commits) this.onCommitted(committed)
    return { outcomes, commits }
  }

  /** The group could not be written. */
  failSync(): void {
    this.#syncing = undefined
  }

  /** The process that wrote here is gone. */
  crash(): void {
    if (this.#syncing && chance(this.#random, survivesCrashShare)) this.endSync()
    this.#syncing = undefined
    if (this.losesAcknowledgedWrites) this.#goBack()
  }

  #goBack(): void {
    const { entries, revision } = this.#earlier
    this.#entries = new Map(entries)
    this.#revision = revision
    this.#history.splice(this.#history.findIndex((committed) => committed.revision > revision))
  }

  #apply(operation: StoreOperation, commits: Committed[]): StoreOutcome {
    switch (operation.kind) {
      case 'transact':
        return this.#transact(operation.transaction, commits)
      case 'grant-lease':
        this.#leases.set(operation.leaseId, operation.ttlMs)
        break
      case 'revoke-lease':
        this.#revoke(operation.leaseId, commits)
        break
      case 'compact':
        this.#compact(operation.revision)
    }
    return { kind: 'committed', revision: this.#revision }
  }

  #transact({ preconditions, writes }: Required<Transaction>, commits: Committed[]): StoreOutcome {
    const failed = preconditions.find((precondition) => !this.#holds(precondition))
    if (failed) return { kind: 'refused', revision: this.#revision, failed }
    for (const write of writes) {
      const leaseId = write.kind === 'put' ? write.leaseId : undefined
      if (leaseId !== undefined && !this.#leases.has(leaseId))
        return { kind: 'lease-gone', leaseId }
    }
    const revision = this.#revision + 1
    this.#finish(
      writes.flatMap((write) => this.#write(write, revision)),
      commits,
    )
    return { kind: 'committed', revision: this.#revision }
  }

  #holds(precondition: Precondition): boolean {
    const stored = this.#entries.get(precondition.key)
    if (precondition.kind === 'absent') return stored === undefined
    if (precondition.kind === 'exists') return stored !== undefined
    return stored?.modRevision === precondition.modRevision
  }

  #write(write: Write, revision: number): Change[] {
    if (write.kind === 'delete') return this.#delete([write.key], revision)
    if (write.kind === 'delete-prefix') {
      return this.#delete(
        this.keys().filter((key) => key.startsWith(write.prefix)),
        revision,
      )
    }
    const { key, value, leaseId } = write
    const before = this.#entries.get(key)
    const createRevision = before?.createRevision ?? revision
    const stored = { key, value, createRevision, modRevision: revision, leaseId }
    this.#bytes += value.byteLength - (before?.value.byteLength ?? 0)
    this.#entries.set(key, stored)
    return [{ kind: 'put', entry: entryOf(stored) }]
  }

  #delete(keys: readonly string[], revision: number): Change[] {
    const changes: Change[] = []
    for (const key of keys) {
      const before = this.#entries.get(key)
      if (before === undefined) continue
      this.#entries.delete(key)
      this.#bytes -= before.value.byteLength
      changes.push({ kind: 'delete', key, modRevision: revision })
    }
    return changes
  }

  #revoke(leaseId: string, commits: Committed[]): void {
    this.#leases.delete(leaseId)
    const held = this.keys().filter((key) => this.#entries.get(key)!.leaseId === leaseId)
    this.#finish(this.#delete(held, this.#revision + 1), commits)
  }

  #finish(changes: readonly Change[], commits: Committed[]): void {
    if (changes.length === 0) return
    const committed = { revision: ++this.#revision, changes }
    this.#history.push(committed)
    commits.push(committed)
    if (this.losesAcknowledgedWrites && this.#revision % 100 === 0) {
      this.#earlier = { entries: new Map(this.#entries), revision: this.#revision }
    }
    if (this.#history.length > 2 * historyRevisionsMax) {
      this.#compact(this.#revision - historyRevisionsMax)
    }
  }

  #compact(revision: number): void {
    if (revision <= this.#compactedRevision) return
    this.#compactedRevision = revision
    const kept = this.#history.findIndex((committed) => committed.revision >= revision)
    this.#history.splice(0, kept === -1 ? this.#history.length : kept)
  }
}

function entryOf({ key, value, createRevision, modRevision }: Stored): Entry {
  return { key, value, createRevision, modRevision }
}
