/**
 * The newest changes, in memory, for the watches that keep up; shared by all of them, so that a watch costs no queue of
 * its own. A watch that falls behind what is kept here reads from the engine's history instead.
 */
import { assert } from '@cloudless/base'
import type { Change } from './store.ts'

export interface RecentChangesOptions {
  readonly changesMax: number
  readonly bytesMax: number
}

interface Batch {
  readonly revision: number
  readonly changes: readonly Change[]
  readonly bytes: number
}

export class RecentChanges {
  readonly #options: RecentChangesOptions
  readonly #batches: Batch[] = []
  readonly #waiting = new Set<() => void>()
  /** Changes after this revision are all here. */
  #floor: number
  #head: number
  #changes = 0
  #bytes = 0

  constructor(revision: number, options: RecentChangesOptions) {
    this.#options = options
    this.#floor = revision
    this.#head = revision
  }

  /** Revision of the newest change. */
  get head(): number {
    return this.#head
  }

  /** The changes of one transaction; revisions come without gaps. */
  push(revision: number, changes: readonly Change[]): void {
    assert(revision === this.#head + 1, `revision ${revision} does not follow ${this.#head}`)
    const bytes = changes.reduce((total, change) => total + bytesOf(change), 0)
    this.#batches.push({ revision, changes, bytes })
    this.#head = revision
    this.#changes += changes.length
    this.#bytes += bytes
    while (this.#changes > this.#options.changesMax || this.#bytes > this.#options.bytesMax) {
      this.#dropOldest()
    }
    this.wakeAll()
  }

  /** Forgets the changes before `revision`. */
  forgetBefore(revision: number): void {
    while (this.#floor + 1 < revision && this.#batches.length > 0) this.#dropOldest()
  }

  /** Changes under `prefix` after `position`; undefined when they are not all here any more. */
  after(position: number, prefix: string): readonly Change[] | undefined {
    if (position < this.#floor) return undefined
    const found: Change[] = []
    for (let n = position - this.#floor; n < this.#batches.length; n++) {
      for (const change of this.#batches[n]!.changes) {
        if (keyOf(change).startsWith(prefix)) found.push(change)
      }
    }
    return found
  }

  /** Resolves at the next push or wakeAll; gives `forget` to take the waiter away again. */
  next(): { readonly pushed: Promise<void>; readonly forget: () => void } {
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#waiting.add(resolve)
    return { pushed: promise, forget: () => this.#waiting.delete(resolve) }
  }

  wakeAll(): void {
    for (const wake of this.#waiting) wake()
    this.#waiting.clear()
  }

  #dropOldest(): void {
    const dropped = this.#batches.shift()!
    this.#floor = dropped.revision
    this.#changes -= dropped.changes.length
    this.#bytes -= dropped.bytes
  }
}

function keyOf(change: Change): string {
  return change.kind === 'put' ? change.entry.key : change.key
}

function bytesOf(change: Change): number {
  return change.kind === 'put' ? change.entry.value.byteLength + change.entry.key.length : 64
}
