/**
 * What one agent is still to be told.
 *
 * Level-triggered: it holds which replicas to look at again, not what to say of them. What is said is decided when the
 * agent can take it, from the records as they are then, so a slow agent costs no memory and gets no stale orders.
 * A coordinator that has much to do may let it wait a little, so that one message says more.
 */
import { create } from '@bufbuild/protobuf'
import {
  AssignmentSchema,
  AssignmentUpdateSchema,
  CoordinatorMessageSchema,
  ReplicaState,
  ReplicaStopSchema,
  type Assignment,
  type CoordinatorMessage,
  type ReplicaRecord,
  type ReplicaStop,
} from '@cloudless/api'
import { CloudlessError, onAbort, type Clock } from '@cloudless/base'

export interface OutboxDeps {
  readonly nodeId: string
  readonly replica: (replicaId: string) => ReplicaRecord | undefined
  readonly replicasOnNode: () => readonly ReplicaRecord[]
  readonly clock: Clock
  /** How long after one update of its assignments the next may come, milliseconds. */
  readonly holdMs: () => number
}

type StopWord = `stop ${string}`
type DirectMessage = CoordinatorMessage['message']

/** Acknowledgements and requests an agent may leave unread before its session is given up. */
const directMessagesMax = 1_000

export class SessionOutbox {
  readonly #deps: OutboxDeps
  readonly #dirty = new Set<string>()
  /** What the agent was last told of each replica: to run it, or to stop it with that grace. */
  readonly #told = new Map<string, 'run' | StopWord>()
  readonly #direct: DirectMessage[] = []
  #version = 0n
  #fullSent = false
  #updatedAtMs = Number.NEGATIVE_INFINITY
  #cancelHold: (() => void) | undefined
  #closed: { readonly error: CloudlessError | undefined } | undefined
  #wake: (() => void) | undefined

  constructor(deps: OutboxDeps) {
    this.#deps = deps
  }

  /** Says something that is not about assignments. */
  send(message: DirectMessage): void {
    if (this.#direct.length >= directMessagesMax) {
      this.close(new CloudlessError('resource_exhausted', 'the agent does not read its session'))
      return
    }
    this.#direct.push(message)
    this.#notify()
  }

  /** The record of this replica changed. */
  touch(replicaId: string): void {
    this.#dirty.add(replicaId)
    if (!this.#cancelHold) this.#notify()
  }

  /** Ends the stream after what is already waiting. */
  close(error?: CloudlessError): void {
    this.#closed ??= { error }
    this.#cancelHold?.()
    this.#cancelHold = undefined
    this.#notify()
  }

  /** Everything the agent is to be told, until the outbox is closed. */
  async *messages(signal: AbortSignal): AsyncIterable<CoordinatorMessage> {
    const forget = onAbort(signal, () => this.close())
    try {
      for (;;) {
        for (let next = this.#direct.shift(); next; next = this.#direct.shift()) {
          yield create(CoordinatorMessageSchema, { message: next })
        }
        const update = this.#nextUpdate()
        if (update) {
          yield update
          continue
        }
        if (this.#closed?.error) throw this.#closed.error
        if (this.#closed) return
        await new Promise<void>((resolve) => (this.#wake = resolve))
      }
    } finally {
      forget()
      this.#cancelHold?.()
    }
  }

  #notify(): void {
    this.#wake?.()
    this.#wake = undefined
  }

  #nextUpdate(): CoordinatorMessage | undefined {
    if (!this.#fullSent) return this.#fullUpdate()
    if (this.#dirty.size === 0 || this.#isHeld()) return undefined
    const upsert: Assignment[] = []
    const stop: ReplicaStop[] = []
    for (const replicaId of this.#dirty) this.#tell(replicaId, upsert, stop)
    this.#dirty.clear()
    return upsert.length + stop.length === 0 ? undefined : this.#update(false, upsert, stop)
  }

  /** Whether what is to be told must wait; it is looked at again when it need not. */
  #isHeld(): boolean {
    if (this.#cancelHold) return true
    const { clock, holdMs } = this.#deps
    const leftMs = this.#updatedAtMs + holdMs() - clock.monotonicMs()
    if (leftMs <= 0 || this.#closed) return false
    this.#cancelHold = clock.after(leftMs, () => {
      this.#cancelHold = undefined
      this.#notify()
    })
    return true
  }

  #fullUpdate(): CoordinatorMessage {
    this.#fullSent = true
    this.#dirty.clear()
    const upsert: Assignment[] = []
    const stop: ReplicaStop[] = []
    for (const replica of this.#deps.replicasOnNode()) this.#tell(replica.status!.id, upsert, stop)
    return this.#update(true, upsert, stop)
  }

  #tell(replicaId: string, upsert: Assignment[], stop: ReplicaStop[]): void {
    const told = this.#told.get(replicaId)
    const record = this.#deps.replica(replicaId)
    const isOurs = record?.status!.nodeId === this.#deps.nodeId
    if (isOurs && shouldRun(record)) {
      if (told === 'run') return
      this.#told.set(replicaId, 'run')
      upsert.push(assignmentOf(record))
      return
    }
    if (isOurs) {
      const word: StopWord = `stop ${record.stopGraceMs ?? 'in the usual time'}`
      if (told === word) return
      this.#told.set(replicaId, word)
      stop.push(stopOf(record))
      return
    }
    // Deleted, or given to another node: only an agent that was told to run it needs to hear.
    if (told === 'run') stop.push(create(ReplicaStopSchema, { replicaId, reason: 'fenced' }))
    this.#told.delete(replicaId)
  }

  #update(full: boolean, upsert: Assignment[], stop: ReplicaStop[]): CoordinatorMessage {
    this.#version += 1n
    this.#updatedAtMs = this.#deps.clock.monotonicMs()
    const value = create(AssignmentUpdateSchema, { full, upsert, stop, version: this.#version })
    return create(CoordinatorMessageSchema, { message: { case: 'assignments', value } })
  }
}

/** A replica its node should have running. */
export function shouldRun(record: ReplicaRecord): boolean {
  return !record.stopping && record.status!.state !== ReplicaState.LOST
}

export function assignmentOf(record: ReplicaRecord): Assignment {
  const status = record.status!
  return create(AssignmentSchema, {
    replicaId: status.id,
    fragmentId: status.fragmentId,
    workloadId: status.workloadId,
    workloadName: status.workloadName,
    namespace: status.namespace,
    revision: status.revision,
    labels: record.labels,
    action: 'run',
    ...(record.spec && { spec: record.spec }),
  })
}

function stopOf(record: ReplicaRecord): ReplicaStop {
  const delayMs = shutdownDelayMsOf(record)
  return create(ReplicaStopSchema, {
    replicaId: record.status!.id,
    reason: record.stopping ? record.stopReason : 'fenced',
    ...(record.stopGraceMs === undefined ? {} : { graceMs: record.stopGraceMs }),
    ...(delayMs > 0n ? { delayMs } : {}),
  })
}

/** Clients need time to leave only where others go on serving them, and nobody has asked for haste. */
function shutdownDelayMsOf(record: ReplicaRecord): bigint {
  const isUrgent = record.stopGraceMs === 0n || record.stopReason === 'deleted'
  return record.stopping && !isUrgent ? (record.spec?.shutdownDelayMs ?? 0n) : 0n
}
