/**
 * Assignments that could not be written down, as on a full disk. Nothing is done about them until they can be: each is
 * reported with the reason, and all are tried again a little later.
 */
import { create } from '@bufbuild/protobuf'
import {
  ReplicaObservationSchema,
  ReplicaState,
  type Assignment,
  type ReplicaObservation,
} from '@cloudless/api'
import type { Clock, CloudlessError } from '@cloudless/base'

const retryMs = 1_000

export class RefusedAssignments {
  readonly #clock: Clock
  readonly #retry: () => void
  readonly #assignments = new Map<string, Assignment>()
  #cancelRetry: (() => void) | undefined

  /** `retry` is called a while after the first was added; it should take all and try them. */
  constructor(clock: Clock, retry: () => void) {
    this.#clock = clock
    this.#retry = retry
  }

  add(assignment: Assignment): void {
    this.#assignments.set(assignment.replicaId, assignment)
    this.#cancelRetry ??= this.#clock.after(retryMs, () => {
      this.#cancelRetry = undefined
      this.#retry()
    })
  }

  drop(replicaId: string): void {
    this.#assignments.delete(replicaId)
  }

  /** All of them; none is kept. */
  take(): Assignment[] {
    const taken = [...this.#assignments.values()]
    this.#assignments.clear()
    return taken
  }

  close(): void {
    this.#assignments.clear()
    this.#cancelRetry?.()
  }
}

/** What is said of a replica whose assignment could not be written down. */
export function refusedObservation(replicaId: string, error: CloudlessError): ReplicaObservation {
  return create(ReplicaObservationSchema, {
    replicaId,
    state: ReplicaState.STARTING,
    lastExitCode: -1,
    reason: error.code === 'resource_exhausted' ? 'DiskFull' : 'NotRecorded',
    message: `the node cannot write its assignment down and tries on: ${error.message}`,
  })
}
