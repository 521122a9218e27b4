/**
 * Several clients that use the API at once while coordinators fail, and write down what they are told. Workloads without
 * replicas are registers: a variable of the spec is the value, the revision counts the writes. Join tokens are what is
 * created, each under a key and a name of its own, and again under the same key.
 */
import {
  between,
  CloudlessError,
  pick,
  seededRandom,
  sleep,
  systemClock,
  type Random,
} from '@cloudless/base'
import type { Workload } from '@cloudless/api'
import type { ApiClient } from '../api-client.ts'
import {
  createClusterClient,
  type CallOptions,
  type ClusterClient,
  type Outcome,
} from '../cluster-client.ts'
import { waitFor } from '../wait-for.ts'
import { History } from './history.ts'
import type { RegisterAction, RegisterAnswer } from './register-model.ts'
import { initialRegister, overRead, registerOf, stateOf } from './register-workload.ts'

export interface RecordedClientsOptions {
  /** Of everything they make; another one each time. */
  readonly name: string
  readonly seed: number
  /** 4 when not given. */
  readonly clients?: number
}

export interface Creation {
  /** Its description. */
  readonly name: string
  /** What it was answered; more than one when it was asked for again under its key. */
  readonly ids: readonly string[]
  readonly outcome: 'done' | 'refused' | 'unknown'
}

export interface Recorded {
  readonly registers: History<RegisterAction, RegisterAnswer>
  readonly creations: readonly Creation[]
  /** Ids of the tokens that there are in the end, by description. */
  readonly created: ReadonlyMap<string, readonly string[]>
  /** Longest time between two acknowledged writes. */
  readonly silenceMs: number
}

export interface RecordedClients {
  /** They do no more; nothing is judged. Safe to call twice. */
  stop(): Promise<void>
  /** Resolves when all has been read once more and what they made is gone. The cluster must be well by then. */
  finish(): Promise<Recorded>
}

const registerCount = 3
const pauseMs = [20, 90] as const
/** Part of the updates that are tried until they are answered, under the same key. */
const repeated = 0.7
/** Part of what was done that is asked for once more, under the same key. */
const saidAgain = 0.2
const finishMsMax = 30_000
/** Longer than a clock that is an hour off takes away. */
const tokenTtlMs = 7n * 86_400_000n
/** Of what there is in the end, read at once. */
const pageLimit = 1_000

/** Resolves when the registers are there. `apisOf` makes a client's own connections, one to each coordinator. */
export async function startRecordedClients(
  apisOf: () => readonly ApiClient[],
  { name, seed, clients: count = 4 }: RecordedClientsOptions,
): Promise<RecordedClients> {
  const stopping = new AbortController()
  const shared: Shared = {
    signal: stopping.signal,
    registers: new History<RegisterAction, RegisterAnswer>(systemClock),
    names: Array.from({ length: registerCount }, (_, n) => `${name}-${n}`),
    creations: [],
    acknowledgedMs: [systemClock.monotonicMs()],
  }
  const setUp = createClusterClient(apisOf())
  for (const register of shared.names) await createRegister(setUp, register)
  const clients = Array.from({ length: count }, (_, n) => {
    const random = seededRandom(seed * 1_000 + n)
    const client = createClusterClient(apisOf(), n)
    return new RecordedClient(shared, { name: `${name}-client-${n}`, client, random })
  })
  // Those that can, go away from a coordinator that has lost the others; these stay and listen to what it says.
  const readers = apisOf().map((api, n) => {
    const random = seededRandom(seed * 1_000 + count + n)
    const client = createClusterClient([api])
    return new RecordedClient(shared, { name: `${name}-reader-${n + 1}`, client, random })
  })
  const running = [
    ...clients.map((client) => client.run()),
    ...readers.map((reader) => reader.readOnly()),
  ]
  const stop = async (): Promise<void> => {
    stopping.abort()
    await Promise.all(running)
  }
  return {
    stop,
    async finish() {
      await stop()
      shared.acknowledgedMs.push(systemClock.monotonicMs())
      await readThroughEach(apisOf(), shared)
      const created = await tokensNamed(setUp, name)
      await removeWorkloads(setUp, shared.names)
      return { ...shared, created, silenceMs: longestGap(shared.acknowledgedMs) }
    },
  }
}

interface Shared {
  readonly signal: AbortSignal
  readonly registers: History<RegisterAction, RegisterAnswer>
  readonly names: readonly string[]
  readonly creations: Creation[]
  readonly acknowledgedMs: number[]
}

class RecordedClient {
  readonly #shared: Shared
  readonly #name: string
  readonly #client: ClusterClient
  readonly #random: Random
  /** As it was read last. */
  readonly #read = new Map<string, Workload>()
  #count = 0

  constructor(
    shared: Shared,
    own: { readonly name: string; readonly client: ClusterClient; readonly random: Random },
  ) {
    this.#shared = shared
    this.#name = own.name
    this.#client = own.client
    this.#random = own.random
  }

  async run(): Promise<void> {
    const { signal, names } = this.#shared
    while (!signal.aborted) {
      const register = pick(this.#random, names)!
      const drawn = this.#random.next()
      if (drawn < 0.45) await this.#readRegister(register)
      else if (drawn < 0.75) await this.#compareAndSet(register)
      else if (drawn < 0.85) await this.#write(register)
      else await this.#createToken()
      await sleep(systemClock, between(this.#random, ...pauseMs))
    }
  }

  async readOnly(): Promise<void> {
    const { signal, names } = this.#shared
    while (!signal.aborted) {
      await this.#readRegister(pick(this.#random, names)!)
      await sleep(systemClock, between(this.#random, ...pauseMs))
    }
  }

  async #readRegister(register: string): Promise<void> {
    const open = this.#shared.registers.begin(register, this.#name, { kind: 'read' })
    const request = { workloadId: register }
    const outcome = await this.#client.call((api, call) => api.getWorkload(request, call), once)
    // A read changes nothing, so one that failed is none.
    if (outcome.kind !== 'done') return open.refused()
    open.done(stateOf(outcome.answer))
    this.#read.set(register, outcome.answer)
  }

  async #compareAndSet(register: string): Promise<void> {
    const known = this.#read.get(register)
    if (known === undefined) return this.#readRegister(register)
    const value = this.#nextName()
    const expected = stateOf(known).value
    const action = { kind: 'compare-and-set', expected, value } as const
    await this.#update(register, action, overRead(known, value))
  }

  async #write(register: string): Promise<void> {
    const value = this.#nextName()
    await this.#update(register, { kind: 'write', value }, registerOf(register, value))
  }

  async #update(
    register: string,
    action: RegisterAction & { readonly value: string },
    workload: Parameters<ApiClient['updateWorkload']>[0]['workload'],
  ): Promise<void> {
    const { registers, signal, acknowledgedMs } = this.#shared
    const open = registers.begin(register, this.#name, action)
    const request = { workload: workload!, idempotencyKey: action.value }
    const update = (repeat: boolean): Promise<Outcome<Workload>> =>
      this.#client.call((api, call) => api.updateWorkload(request, call), { repeat, signal })
    const outcome = await update(this.#random.next() < repeated)
    if (outcome.kind === 'refused') return open.refused()
    if (outcome.kind === 'unknown') return open.unknown()
    open.done('done')
    acknowledgedMs.push(systemClock.monotonicMs())
    if (this.#random.next() < saidAgain) await update(false)
  }

  async #createToken(): Promise<void> {
    const { signal, creations, acknowledgedMs } = this.#shared
    const description = this.#nextName()
    const request = { description, ttlMs: tokenTtlMs, idempotencyKey: description }
    const ids: string[] = []
    let outcome: Creation['outcome'] = 'unknown'
    const times = this.#random.next() < saidAgain ? 2 : 1
    for (let n = 0; n < times; n++) {
      const made = await this.#client.call((api, call) => api.createJoinToken(request, call), {
        repeat: true,
        signal,
      })
      if (made.kind === 'done') {
        ids.push(made.answer.joinToken!.id)
        acknowledgedMs.push(systemClock.monotonicMs())
      }
      if (n === 0) outcome = made.kind
    }
    creations.push({ name: description, ids, outcome })
  }

  #nextName(): string {
    return `${this.#name}-${++this.#count}`
  }
}

async function createRegister(client: ClusterClient, name: string): Promise<void> {
  const workload = registerOf(name, initialRegister.value)
  await must(client, (api, call) => api.createWorkload({ workload, idempotencyKey: name }, call))
}

/** Whoever is asked now, all that was acknowledged is there. */
async function readThroughEach(apis: readonly ApiClient[], { registers, names }: Shared) {
  for (const [n, api] of apis.entries()) {
    const client = createClusterClient([api])
    for (const name of names) {
      await waitFor(
        async () => {
          const open = registers.begin(name, `the last reader, of coordinator ${n + 1}`, {
            kind: 'read',
          })
          const read = await client.call(
            (one, call) => one.getWorkload({ workloadId: name }, call),
            once,
          )
          if (read.kind === 'done') open.done(stateOf(read.answer))
          else open.refused()
          return read.kind === 'done'
        },
        { what: `${name} to be read from coordinator ${n + 1}`, deadlineMs: finishMsMax },
      )
    }
  }
}

/** One attempt: a read that is tried again is another read. */
const once: CallOptions = { repeat: false, signal: AbortSignal.abort() }

async function tokensNamed(
  client: ClusterClient,
  prefix: string,
): Promise<ReadonlyMap<string, readonly string[]>> {
  const found = new Map<string, string[]>()
  for (let continueToken = ''; ;) {
    const request = { limit: pageLimit, continueToken }
    const page = await must(client, (api, call) => api.listJoinTokens(request, call))
    for (const { id, description } of page.joinTokens) {
      if (description.startsWith(prefix))
        found.set(description, [...(found.get(description) ?? []), id])
    }
    if (page.nextToken === '') return found
    continueToken = page.nextToken
  }
}

async function removeWorkloads(client: ClusterClient, names: readonly string[]): Promise<void> {
  for (const workloadId of names) {
    await must(client, (api, call) => api.deleteWorkload({ workloadId }, call))
  }
}

async function must<T>(
  client: ClusterClient,
  act: (api: ApiClient, call: { readonly timeoutMs: number }) => Promise<T>,
): Promise<T> {
  const signal = AbortSignal.timeout(finishMsMax)
  const outcome = await client.call(act, { repeat: true, signal })
  if (outcome.kind === 'done') return outcome.answer
  throw new CloudlessError('unavailable', `${outcome.kind}: ${outcome.message}`)
}

function longestGap(timesMs: readonly number[]): number {
  const gaps = timesMs.slice(1).map((atMs, n) => atMs - timesMs[n]!)
  return Math.max(...gaps)
}
