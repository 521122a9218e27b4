/** Collects what is to be written while the last commits are under way, and hands it over as the next one. */
import { CloudlessError } from '@cloudless/base'
import type { CommitReply, Operation, Outcome } from './messages.ts'

/** A group: large enough to make an fsync worth while, small enough not to hold the disk for long. */
const groupOperationsMax = 512
const groupBytesMax = 8 * 1024 * 1024
/** While one waits for the disk, what the other has brought is told to its callers, who come with more. */
const underWayMax = 2
/** Fewer are not worth an fsync of their own: they wait for the commit that is under way. */
const secondGroupMin = 16
const waitingOperationsMax = 10_000
const waitingBytesMax = 128 * 1024 * 1024

interface Waiting {
  readonly operation: Operation
  readonly bytes: number
  readonly resolve: (outcome: Outcome) => void
  readonly reject: (reason: unknown) => void
}

export class CommitQueue {
  readonly #commit: (operations: readonly Operation[]) => Promise<CommitReply>
  readonly #onCommitted: (reply: CommitReply) => void
  #waiting: Waiting[] = []
  #waitingBytes = 0
  /** Of those that will still look for more to do. */
  #runs = 0
  readonly #underWay = new Set<Promise<void>>()

  /** `onCommitted` is called with each reply before the callers of its operations go on. */
  constructor(
    commit: (operations: readonly Operation[]) => Promise<CommitReply>,
    onCommitted: (reply: CommitReply) => void,
  ) {
    this.#commit = commit
    this.#onCommitted = onCommitted
  }

  add(operation: Operation, bytes: number): Promise<Outcome> {
    return new Promise((resolve, reject) => {
      const full =
        this.#waiting.length >= waitingOperationsMax || this.#waitingBytes + bytes > waitingBytesMax
      if (full) return reject(tooManyWaiting(this.#waiting.length))
      this.#waiting.push({ operation, bytes, resolve, reject })
      this.#waitingBytes += bytes
      const isWorthwhile = this.#runs === 0 || this.#waiting.length >= secondGroupMin
      if (this.#runs >= underWayMax || !isWorthwhile) return
      this.#runs++
      const run: Promise<void> = this.#run().finally(() => this.#underWay.delete(run))
      this.#underWay.add(run)
    })
  }

  /** Resolves when everything added so far has its outcome. */
  async drain(): Promise<void> {
    while (this.#underWay.size > 0) await Promise.all(this.#underWay)
  }

  async #run(): Promise<void> {
    await undefined // What the same turn adds rides along.
    while (this.#waiting.length > 0) {
      const group = this.#takeGroup()
      try {
        const reply = await this.#commit(group.map((item) => item.operation))
        this.#onCommitted(reply)
        group.forEach((item, n) => item.resolve(reply.outcomes[n]!))
      } catch (reason) {
        for (const item of group) item.reject(reason)
      }
    }
    this.#runs--
  }

  #takeGroup(): Waiting[] {
    let bytes = 0
    let count = 0
    for (const item of this.#waiting) {
      if (count > 0 && (count >= groupOperationsMax || bytes + item.bytes > groupBytesMax)) break
      bytes += item.bytes
      count++
    }
    const group = this.#waiting.slice(0, count)
    this.#waiting = this.#waiting.slice(count)
    this.#waitingBytes -= bytes
    return group
  }
}

function tooManyWaiting(count: number): CloudlessError {
  return new CloudlessError(
    'resource_exhausted',
    `${count} writes wait for the metadata database's disk; nothing was written, try again later`,
  )
}
