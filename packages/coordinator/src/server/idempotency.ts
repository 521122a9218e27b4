/**
 * Idempotency keys: the same key with the same request gets the first answer again, and nothing is done twice.
 *
 *   1. Where the handler puts `claim.writes(answer)` and `claim.preconditions` into the transaction that changes, the
 *      answer is stored exactly when the change is. Otherwise it is stored right after.
 *   2. Two calls with one key at the same time are served one after the other; across coordinators the precondition
 *      makes one of them fail with `conflict`, and its repetition gets the stored answer.
 *   3. Failures are not remembered: a repetition tries again.
 *   4. Keys belong to a client and a method. The same key with another request is refused.
 */
import { createHash } from 'node:crypto'
import {
  create,
  fromBinary,
  ScalarType,
  toBinary,
  toJson,
  type DescMessage,
  type DescMethod,
  type JsonValue,
  type Message,
  type MessageInitShape,
  type MessageShape,
} from '@bufbuild/protobuf'
import { reflect } from '@bufbuild/protobuf/reflect'
import {
  idempotencyKeyHeader,
  IdempotencyRecordSchema,
  WorkloadSchema,
  type IdempotencyRecord,
} from '@cloudless/api'
import { CloudlessError, KeyedSerialQueue, type Clock } from '@cloudless/base'
import type { Entry, MetadataStore, Precondition, Write } from '@cloudless/metadata'

export interface IdempotencyDeps {
  readonly store: Pick<MetadataStore, 'get' | 'list' | 'transact'>
  readonly clock: Clock
}

/** What a handler adds to its transaction. Without a key: nothing. */
export interface IdempotencyClaim<Method extends DescMethod> {
  readonly preconditions: readonly Precondition[]
  /** The writes that store the answer. */
  writes(answer: MessageInitShape<Method['output']>): Write[]
}

export interface IdempotentCall<Method extends DescMethod> {
  readonly method: Method
  readonly request: MessageShape<Method['input']>
  /** Whose key it is, such as "operator/admin" or "join-token/jt-abc": clientName of the call, or what proves more. */
  readonly client: string
  /** From the request's field, or from the Idempotency-Key header; empty: not remembered. */
  readonly key: string
}

export const idempotencyRetentionMs = 86_400_000

const prefix = 'idempotency/'
const keyLengthMax = 128
const versionField = 'resource_version'
/** What an answer has inside, and its caller may change next. */
const changeable = WorkloadSchema.typeName
/** Each takes a precondition and a write of one transaction, which may have 128. */
const sweepPageSize = 64

/** The key of a call: the request's own field, else the header. */
export function idempotencyKeyOf(
  request: { readonly idempotencyKey?: string },
  context: { readonly requestHeader: Headers },
): string {
  return request.idempotencyKey || (context.requestHeader.get(idempotencyKeyHeader) ?? '')
}

export class Idempotency {
  readonly #deps: IdempotencyDeps
  readonly #queue = new KeyedSerialQueue()

  constructor(deps: IdempotencyDeps) {
    this.#deps = deps
  }

  /**
   * Runs `act` unless the call has been answered already. `invalid_argument` for an impossible key,
   * `failed_precondition` for a key that was used for another request.
   */
  async run<Method extends DescMethod>(
    call: IdempotentCall<Method>,
    act: (claim: IdempotencyClaim<Method>) => Promise<MessageInitShape<Method['output']>>,
  ): Promise<MessageInitShape<Method['output']>> {
    if (call.key === '') return act({ preconditions: [], writes: () => [] })
    const storeKey = storeKeyOf(call)
    return this.#queue.run(storeKey, () => this.#runAlone(storeKey, call, act))
  }

  async #runAlone<Method extends DescMethod>(
    storeKey: string,
    call: IdempotentCall<Method>,
    act: (claim: IdempotencyClaim<Method>) => Promise<MessageInitShape<Method['output']>>,
  ): Promise<MessageInitShape<Method['output']>> {
    const nowMs = this.#deps.clock.wallMs()
    const requestDigest = digestOf(call)
    const entry = await this.#deps.store.get(storeKey)
    const known = entry === undefined ? undefined : fromBinary(IdempotencyRecordSchema, entry.value)
    if (known !== undefined && !hasExpired(known, nowMs)) {
      const answer = replay(call, known, requestDigest)
      fillVersion(call.method.output, answer, BigInt(entry!.modRevision))
      return answer as MessageInitShape<Method['output']>
    }
    const preconditions = [preconditionOf(storeKey, entry)]
    let used = false
    const writes = (answer: MessageInitShape<Method['output']>): Write[] => {
      const record = create(IdempotencyRecordSchema, {
        requestDigest,
        response: toBinary(call.method.output, create(call.method.output, answer as never)),
        expiresAtMs: BigInt(nowMs + idempotencyRetentionMs),
      })
      const value = toBinary(IdempotencyRecordSchema, record)
      return [{ kind: 'put', key: storeKey, value }]
    }
    const answer = await act({
      preconditions,
      writes: (given) => {
        used = true
        return writes(given)
      },
    })
    if (!used) await this.#deps.store.transact({ preconditions, writes: writes(answer) })
    return answer
  }

  /** Forgets what has expired; returns how many keys. Call it now and then. */
  async sweep(): Promise<number> {
    let swept = 0
    let afterKey: string | undefined
    for (;;) {
      const page = await this.#deps.store.list(prefix, {
        limit: sweepPageSize,
        ...(afterKey === undefined ? {} : { afterKey }),
      })
      swept += await this.#forget(page.entries)
      afterKey = page.entries.at(-1)?.key
      if (!page.more || afterKey === undefined) return swept
    }
  }

  async #forget(entries: readonly Entry[]): Promise<number> {
    const nowMs = this.#deps.clock.wallMs()
    const expired = entries.filter(({ value }) =>
      hasExpired(fromBinary(IdempotencyRecordSchema, value), nowMs),
    )
    if (expired.length === 0) return 0
    const result = await this.#deps.store.transact({
      // One that was used again meanwhile stays, and the rest with it, until the next sweep.
      preconditions: expired.map(({ key, modRevision }) => ({
        kind: 'unchanged',
        key,
        modRevision,
      })),
      writes: expired.map(({ key }) => ({ kind: 'delete', key })),
    })
    return result.kind === 'committed' ? expired.length : 0
  }
}

function replay<Method extends DescMethod>(
  call: IdempotentCall<Method>,
  known: IdempotencyRecord,
  requestDigest: string,
): Message {
  if (known.requestDigest !== requestDigest) {
    throw new CloudlessError(
      'failed_precondition',
      `the idempotency key "${call.key}" was used for another request in the last 24 hours: use a new key`,
      { details: { field: 'idempotency_key' } },
    )
  }
  return fromBinary(call.method.output, known.response)
}

/**
 * What was stored together with its answer has the answer's revision, which nobody knew when that was written. Without it a
 * later change on the strength of this answer would overwrite whatever came between.
 */
function fillVersion(schema: DescMessage, answer: Message, revision: bigint): void {
  const fields = reflect(schema, answer)
  for (const field of schema.fields) {
    if (field.name === versionField && field.scalar === ScalarType.INT64) {
      if (fields.get(field) === 0n) fields.set(field, revision)
    } else if (field.fieldKind === 'message' && field.message.typeName === changeable) {
      if (fields.isSet(field)) fillVersion(field.message, fields.get(field).message, revision)
    }
  }
}

function storeKeyOf(call: IdempotentCall<DescMethod>): string {
  if (call.key.length > keyLengthMax || !/^[\x20-\x7e]+$/.test(call.key)) {
    throw new CloudlessError(
      'invalid_argument',
      `idempotency_key: must have 1 to ${keyLengthMax} printable ASCII characters`,
      { details: { field: 'idempotency_key' } },
    )
  }
  return `${prefix}${call.client}/${call.method.name}/${encodeURIComponent(call.key)}`
}

function preconditionOf(key: string, entry: Entry | undefined): Precondition {
  if (entry === undefined) return { kind: 'absent', key }
  return { kind: 'unchanged', key, modRevision: entry.modRevision }
}

function hasExpired(record: IdempotencyRecord, nowMs: number): boolean {
  return Number(record.expiresAtMs) <= nowMs
}

/** SHA-256 over method and request, the same for the same request in whatever order its maps came. */
function digestOf(call: IdempotentCall<DescMethod>): string {
  const request = toJson(call.method.input, call.request)
  const name = `${call.method.parent.typeName}/${call.method.name}`
  return createHash('sha256')
    .update(`${name}\n${sortedJson(request)}`)
    .digest('hex')
}

function sortedJson(value: JsonValue): string {
  return JSON.stringify(value, (_key, inner: unknown) =>
    typeof inner === 'object' && inner !== null && !Array.isArray(inner)
      ? Object.fromEntries(Object.entries(inner).toSorted(([a], [b]) => (a < b ? -1 : 1)))
      : inner,
  )
}
