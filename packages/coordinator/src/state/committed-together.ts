/**
 * Changes that would refuse each other, such as uses of one token, committed in one transaction when they come together.
 *
 * The first that comes is committed at once; what comes meanwhile waits and is then decided together, in order, each on
 * top of those before it. One that may not be is told so and leaves the others as they are. A transaction that was refused,
 * because another writer was sooner, is taken apart: each of its changes is decided anew on its own.
 */
import { CloudlessError } from '@cloudless/base'
import type { ClusterState, Decision } from './cluster-state.ts'

/** One transaction in the making. */
export interface Draft<Change, Result> {
  /** Adds one more, or throws why it may not be and stays as it was. */
  add(change: Change): Result
  /** Whether it must not share a transaction with others. */
  mustBeAlone(change: Change): boolean
  /** What the changes added so far weigh. */
  readonly bytes: number
  readonly decision: Omit<Decision<never>, 'result'>
}

/** A tenth of what a transaction holds, at ten operations a change. */
const changesPerTransactionMax = 100
/** A quarter of what it may weigh, so that the last one added fits. */
const bytesPerTransactionMax = 2 * 1024 * 1024
/** Waiting; one that comes when there are more is refused. */
const waitingMax = 20_000

interface Waiting<Change, Result> {
  readonly change: Change
  readonly resolve: (result: Result) => void
  readonly reject: (reason: unknown) => void
}

export class CommittedTogether<Change, Result> {
  readonly #state: Pick<ClusterState, 'update' | 'write'>
  readonly #begin: () => Draft<Change, Result>
  #waiting: Waiting<Change, Result>[] = []
  #running = false

  /** `begin` makes an empty draft on the state as it is now. */
  constructor(state: Pick<ClusterState, 'update' | 'write'>, begin: () => Draft<Change, Result>) {
    this.#state = state
    this.#begin = begin
  }

  /** Resolves when it is stored and the state shows it. */
  commit(change: Change): Promise<Result> {
    if (this.#waiting.length >= waitingMax) {
      const message = `${waitingMax} such changes wait already: try again`
      return Promise.reject(new CloudlessError('resource_exhausted', message))
    }
    const { promise, resolve, reject } = Promise.withResolvers<Result>()
    this.#waiting.push({ change, resolve, reject })
    if (!this.#running) void this.#run()
    return promise
  }

  async #run(): Promise<void> {
    this.#running = true
    while (this.#waiting.length > 0) await this.#commitSome()
    this.#running = false
  }

  /** Never rejects: what went wrong is told to those who wait. */
  async #commitSome(): Promise<void> {
    const draft = this.#begin()
    const added = this.#fill(draft)
    if (added.length === 0) return
    try {
      const { kind } = await this.#state.write(draft.decision)
      if (kind === 'committed') for (const { waiting, result } of added) waiting.resolve(result)
      else await Promise.all(added.map(({ waiting }) => this.#commitAlone(waiting)))
    } catch (reason) {
      for (const { waiting } of added) waiting.reject(reason)
    }
  }

  /** Takes what waits into the draft, as far as it goes. */
  #fill(draft: Draft<Change, Result>): { waiting: Waiting<Change, Result>; result: Result }[] {
    const added: { waiting: Waiting<Change, Result>; result: Result }[] = []
    for (let next = this.#waiting[0]; next !== undefined; next = this.#waiting[0]) {
      const isAlone = draft.mustBeAlone(next.change)
      if (added.length > 0 && (isAlone || isFull(draft.bytes, added.length))) break
      this.#waiting.shift()
      try {
        added.push({ waiting: next, result: draft.add(next.change) })
        if (isAlone) break
      } catch (reason) {
        next.reject(reason)
      }
    }
    return added
  }

  async #commitAlone({ change, resolve, reject }: Waiting<Change, Result>): Promise<void> {
    try {
      const result = await this.#state.update(() => {
        const draft = this.#begin()
        const added = draft.add(change)
        return { ...draft.decision, result: added }
      })
      resolve(result!)
    } catch (reason) {
      reject(reason)
    }
  }
}

function isFull(bytes: number, changes: number): boolean {
  return changes >= changesPerTransactionMax || bytes > bytesPerTransactionMax
}
