/**
 * Writes what agents report of their replicas into the store, many reports in one transaction.
 *
 * Only the newest observation of a replica matters, so what waits while a slow disk syncs is bounded by the number of
 * replicas, and a report storm costs one write a replica. How an attempt of a job ended is counted in the same transaction.
 */
import { sleep, type Clock } from '@cloudless/base'
import type { ReplicaObservation, ReplicaRecord } from '@cloudless/api'
import type { Precondition, Write } from '@cloudless/metadata'
import {
  deleteRecord,
  putRecord,
  unchanged,
  type ClusterState,
  type Decision,
} from '../state/cluster-state.ts'
import { TransactionRoom } from '../state/transaction-limits.ts'
import { JobCounts, recordsTouched } from '../controllers/job-attempts.ts'
import { applyObservation } from '../controllers/replica-records.ts'

export interface ObservationWriterDeps {
  readonly state: ClusterState
  readonly clock: Clock
  readonly onError: (reason: unknown) => void
  /** After the change is stored. `after` is undefined when the replica was forgotten. */
  readonly onStored: (before: ReplicaRecord, after: ReplicaRecord | undefined) => void
}

interface Reported {
  readonly nodeId: string
  readonly observation: ReplicaObservation
}

type Stored = readonly [ReplicaRecord, ReplicaRecord | undefined][]

const retryDelayMs = 500

export class ObservationWriter {
  readonly #deps: ObservationWriterDeps
  readonly #waiting = new Map<string, Reported>()
  readonly #abort = new AbortController()
  #running: Promise<void> | undefined

  constructor(deps: ObservationWriterDeps) {
    this.#deps = deps
  }

  report(nodeId: string, observations: readonly ReplicaObservation[]): void {
    for (const observation of observations) {
      this.#waiting.set(observation.replicaId, { nodeId, observation })
    }
    if (this.#waiting.size > 0)
      this.#running ??= this.#run().finally(() => (this.#running = undefined))
  }

  /** Stops retrying and waits for the write under way. */
  async close(): Promise<void> {
    this.#abort.abort()
    await this.#running
  }

  async #run(): Promise<void> {
    while (this.#waiting.size > 0 && !this.#abort.signal.aborted) {
      const batch = this.#takeBatch()
      try {
        const stored = await this.#deps.state.update(() => this.#decide(batch))
        for (const [before, after] of stored ?? []) this.#deps.onStored(before, after)
      } catch (reason) {
        this.#deps.onError(reason)
        for (const [id, reported] of batch) {
          if (!this.#waiting.has(id)) this.#waiting.set(id, reported)
        }
        // Closing ends the wait, and the loop with it.
        await sleep(this.#deps.clock, retryDelayMs, this.#abort.signal).catch(() => undefined)
      }
    }
  }

  #takeBatch(): Map<string, Reported> {
    const batch = new Map<string, Reported>()
    const room = new TransactionRoom()
    for (const [id, reported] of this.#waiting) {
      const held = this.#deps.state.held('replica', id)
      const touched = held ? recordsTouched(this.#deps.state, held) : []
      if (!touched.every(({ bytes }) => room.takes(bytes)) && batch.size > 0) break
      batch.set(id, reported)
      this.#waiting.delete(id)
    }
    return batch
  }

  #decide(batch: ReadonlyMap<string, Reported>): Decision<Stored> {
    const preconditions: Precondition[] = []
    const writes: Write[] = []
    const jobs = new JobCounts(this.#deps.state)
    const stored: [ReplicaRecord, ReplicaRecord | undefined][] = []
    const nowMs = this.#deps.clock.wallMs()
    for (const [id, { nodeId, observation }] of batch) {
      const held = this.#deps.state.held('replica', id)
      if (!held) continue
      const verdict = applyObservation(held.record, observation, { nodeId, nowMs })
      if (verdict.kind === 'unchanged') continue
      preconditions.push(unchanged('replica', held))
      if (verdict.kind === 'forget') writes.push(deleteRecord('replica', id))
      else {
        jobs.note(held.record, verdict.record)
        writes.push(putRecord('replica', id, verdict.record))
      }
      stored.push([held.record, verdict.kind === 'changed' ? verdict.record : undefined])
    }
    return {
      preconditions: [...preconditions, ...jobs.preconditions()],
      writes: [...writes, ...jobs.writes()],
      result: stored,
    }
  }
}
