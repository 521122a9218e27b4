/** What the agents of nodes without agents would do and say, written into the state. */
import { ReplicaState, type ReplicaRecord } from '@cloudless/api'
import { systemClock } from '@cloudless/base'
import { deleteRecord, putRecord, type ClusterState } from '@cloudless/coordinator/testing'

/** Records written by one transaction. */
export const recordsPerWrite = 100

/** While others are placed: what is to stop is gone as soon as they are told. */
export class PlayedAgents {
  readonly #state: ClusterState
  readonly #due = new Set<string>()
  readonly #stopListening: () => void
  #stopped = 0
  #working: Promise<void> | undefined

  constructor(state: ClusterState) {
    this.#state = state
    this.#stopListening = state.listen((changes) => {
      for (const { kind, id, after } of changes) {
        if (kind === 'replica' && after && isToStop(after as ReplicaRecord)) this.#due.add(id)
      }
      this.#start()
    })
  }

  /** How many replicas they stopped. */
  get stopped(): number {
    return this.#stopped
  }

  /** Does what is left, then nothing more. */
  async close(): Promise<void> {
    this.#stopListening()
    while (this.#working) await this.#working
  }

  #start(): void {
    if (this.#working || this.#due.size === 0) return
    this.#working = this.#stopDue().finally(() => {
      this.#working = undefined
      this.#start()
    })
  }

  async #stopDue(): Promise<void> {
    const ids = [...this.#due].slice(0, recordsPerWrite)
    for (const id of ids) this.#due.delete(id)
    await this.#state.write({ writes: ids.map((id) => deleteRecord('replica', id)) })
    this.#stopped += ids.length
  }
}

function isToStop({ stopping, status }: ReplicaRecord): boolean {
  return stopping && status!.nodeId !== ''
}

/** What has a place runs there and is ready. */
export async function reportRunning(state: ClusterState): Promise<void> {
  const nowMs = BigInt(systemClock.wallMs())
  const writes = [...state.all('replica')].map(({ id, record }) => {
    const { status } = record
    const running = { ...status!, state: ReplicaState.RUNNING, ready: true, readyAtMs: nowMs }
    return putRecord('replica', id, { ...record, status: running })
  })
  for (let n = 0; n < writes.length; n += recordsPerWrite) {
    await state.write({ writes: writes.slice(n, n + recordsPerWrite) })
  }
}
