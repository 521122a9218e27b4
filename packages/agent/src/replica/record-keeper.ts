/** Writes replicas to the durable record: in order for each, a few at once, and only the newest of what is not urgent. */
import { CloudlessError, KeyedSerialQueue, Semaphore } from '@cloudless/base'
import type { AgentLogger } from '../logger.ts'
import type { AssignmentRecord, ReplicaRecord } from './assignment-record.ts'

export interface RecordKeeperDeps {
  readonly record: AssignmentRecord
  readonly logger: AgentLogger
}

const savesAtOnceMax = 4

export class RecordKeeper {
  readonly #deps: RecordKeeperDeps
  readonly #queue = new KeyedSerialQueue()
  readonly #savesAtOnce = new Semaphore(savesAtOnceMax)
  readonly #dirty = new Set<string>()

  constructor(deps: RecordKeeperDeps) {
    this.#deps = deps
  }

  /** On disk when it resolves. */
  save(record: ReplicaRecord): Promise<void> {
    return this.#queue.run(record.assignment.replicaId, () =>
      this.#savesAtOnce.run(() => this.#deps.record.save(record)),
    )
  }

  /** Asks for the record when it is its turn; undefined: nothing to write any more. A failure is only said. */
  saveSoon(replicaId: string, recordNow: () => ReplicaRecord | undefined): void {
    if (this.#dirty.has(replicaId)) return
    this.#dirty.add(replicaId)
    this.#quietly(replicaId, async () => {
      this.#dirty.delete(replicaId)
      const record = recordNow()
      if (record !== undefined) await this.#savesAtOnce.run(() => this.#deps.record.save(record))
    })
  }

  /** After what was asked for before: removes the record, then does `andThen`. A failure is only said. */
  removeSoon(replicaId: string, andThen: () => Promise<void>): void {
    this.#quietly(replicaId, async () => {
      await this.#deps.record.remove(replicaId)
      await andThen()
    })
  }

  /** Resolves when everything asked for is on disk. */
  idle(): Promise<void> {
    return this.#queue.idle()
  }

  #quietly(replicaId: string, task: () => Promise<void>): void {
    // The containers matter more than the record: go on, and say it.
    this.#queue.run(replicaId, task).catch((reason: unknown) => {
      const { code, message } = CloudlessError.from(reason)
      this.#deps.logger.error({ replicaId, code }, message)
    })
  }
}
