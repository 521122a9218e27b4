/** Writes replicas to the durable record: in order for each, a few at once, and only the newest of what is not urgent. */
import { CloudlessError, KeyedSerialQueue, Semaphore } from '@cloudless/base'
import type { AgentLogger } from '../logger.ts'
import type { AssignmentRecord } from './assignment-record.ts'
import { recordOfReplica, type ReplicaFacts } from './record-of-replica.ts'
import type { ReplicaMachine } from './replica-state.ts'

export interface RecordKeeperDeps {
  readonly record: AssignmentRecord
  readonly logger: AgentLogger
}

/** What is to be written: a replica as it is when its turn comes. */
export interface Recorded {
  readonly state: ReplicaMachine
  readonly options: ReplicaFacts
}

const savesAtOnceMax = 4

export class RecordKeeper {
  readonly #deps: RecordKeeperDeps
  readonly #bootId: string
  readonly #queue = new KeyedSerialQueue()
  readonly #savesAtOnce = new Semaphore(savesAtOnceMax)
  readonly #dirty = new Set<string>()

  /** `bootId`: of the machine's present boot. */
  constructor(deps: RecordKeeperDeps, { bootId }: { readonly bootId: string }) {
    this.#deps = deps
    this.#bootId = bootId
  }

  /** On disk when it resolves. */
  save(state: ReplicaMachine, facts: ReplicaFacts): Promise<void> {
    return this.#queue.run(state.assignment.replicaId, () => this.#write(state, facts))
  }

  /** Asks for the replica when it is its turn; undefined: nothing to write any more. A failure is only said. */
  saveSoon(replicaId: string, replicaNow: () => Recorded | undefined): void {
    if (this.#dirty.has(replicaId)) return
    this.#dirty.add(replicaId)
    this.#quietly(replicaId, async () => {
      this.#dirty.delete(replicaId)
      const replica = replicaNow()
      if (replica !== undefined) await this.#write(replica.state, replica.options)
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

  #write(state: ReplicaMachine, { adHoc, idempotencyKey }: ReplicaFacts): Promise<void> {
    const record = recordOfReplica(state, { adHoc, idempotencyKey, bootId: this.#bootId })
    return this.#savesAtOnce.run(() => this.#deps.record.save(record))
  }

  #quietly(replicaId: string, task: () => Promise<void>): void {
    // The containers matter more than the record: go on, and say it.
    this.#queue.run(replicaId, task).catch((reason: unknown) => {
      const { code, message } = CloudlessError.from(reason)
      this.#deps.logger.error({ replicaId, code }, message)
    })
  }
}
