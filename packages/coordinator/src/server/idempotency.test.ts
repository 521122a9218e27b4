import assert from 'node:assert/strict'
import { test } from 'node:test'
import { create, type MessageShape } from '@bufbuild/protobuf'
import { CoordinatorService, type CreateWorkloadRequestSchema } from '@cloudless/api'
import { CreateWorkloadRequestSchema as requestSchema } from '@cloudless/api'
import type { Clock } from '@cloudless/base'
import type { Entry, MetadataStore, Transaction } from '@cloudless/metadata'
import { Idempotency, idempotencyKeyOf, idempotencyRetentionMs } from './idempotency.ts'

/** The three calls that are used, over a map. */
function createStore(): Pick<MetadataStore, 'get' | 'list' | 'transact'> & {
  keys: () => string[]
} {
  const entries = new Map<string, Entry>()
  let revision = 0
  const holds = (condition: NonNullable<Transaction['preconditions']>[number]): boolean => {
    const entry = entries.get(condition.key)
    if (condition.kind === 'absent') return entry === undefined
    if (condition.kind === 'exists') return entry !== undefined
    return entry?.modRevision === condition.modRevision
  }
  return {
    keys: () => [...entries.keys()],
    get: (key) => Promise.resolve(entries.get(key)),
    list: (prefix, options = {}) => {
      const found = [...entries.values()]
        .filter(({ key }) => key.startsWith(prefix) && key > (options.afterKey ?? ''))
        .toSorted((a, b) => (a.key < b.key ? -1 : 1))
      const page = found.slice(0, options.limit)
      return Promise.resolve({ entries: page, revision, more: page.length < found.length })
    },
    transact: ({ preconditions = [], writes }) => {
      const failed = preconditions.find((condition) => !holds(condition))
      if (failed !== undefined) return Promise.resolve({ kind: 'refused', revision, failed })
      revision++
      for (const write of writes) {
        assert.notEqual(write.kind, 'delete-prefix')
        if (write.kind === 'delete') entries.delete(write.key)
        if (write.kind === 'put') {
          const { key, value } = write
          entries.set(key, { key, value, createRevision: revision, modRevision: revision })
        }
      }
      return Promise.resolve({ kind: 'committed', revision })
    },
  }
}

function setUp() {
  const store = createStore()
  let nowMs = 1_000
  const clock: Clock = { wallMs: () => nowMs, monotonicMs: () => 0, after: () => () => undefined }
  const idempotency = new Idempotency({ store, clock })
  let made = 0
  const request = (name: string, labels: Record<string, string> = {}) =>
    create(requestSchema, { workload: { name, labels } })
  const run = (
    key: string,
    given: MessageShape<typeof CreateWorkloadRequestSchema>,
    options: { client?: string; inTransaction?: boolean; fail?: boolean } = {},
  ) =>
    idempotency.run(
      {
        method: CoordinatorService.method.createWorkload,
        request: given,
        client: options.client ?? 'operator/admin',
        key,
      },
      async (claim) => {
        if (options.fail) throw new Error('no luck')
        const answer = { id: `${given.workload!.name}-${++made}` }
        if (options.inTransaction !== false) {
          const result = await store.transact({
            preconditions: claim.preconditions,
            writes: [
              { kind: 'put', key: `workloads/${answer.id}`, value: new Uint8Array() },
              ...claim.writes(answer),
            ],
          })
          assert.equal(result.kind, 'committed')
        }
        return answer
      },
    )
  return { store, idempotency, run, request, made: () => made, pass: (ms: number) => (nowMs += ms) }
}

for (const inTransaction of [true, false]) {
  test(`answers a repetition as the first time (in the transaction: ${inTransaction})`, async () => {
    const { run, request, made } = setUp()
    const first = await run('k', request('web'), { inTransaction })
    const again = await run('k', request('web'), { inTransaction })
    assert.equal(again.id, first.id)
    assert.equal(made(), 1)
  })
}

test('a repeated answer has the version of what was stored with it', async () => {
  const { store, run, request } = setUp()
  await run('before', request('other'))
  const { id } = await run('k', request('web'))
  await run('after', request('another'))
  const again = await run('k', request('web'))
  const stored = await store.get(`workloads/${id}`)
  assert.equal(again.resourceVersion, BigInt(stored!.modRevision))
})

test('refuses the key for another request', async () => {
  const { run, request } = setUp()
  await run('k', request('web'))
  await assert.rejects(run('k', request('other')), {
    code: 'failed_precondition',
    message: /"k" was used for another request/,
  })
})

test('takes a request for the same whatever the order of its labels', async () => {
  const { run, request, made } = setUp()
  await run('k', request('web', { a: '1', b: '2' }))
  await run('k', request('web', { b: '2', a: '1' }))
  assert.equal(made(), 1)
})

test('keeps the keys of clients apart, and does nothing without a key', async () => {
  const { run, request, made, store } = setUp()
  await run('k', request('web'))
  await run('k', request('web'), { client: 'operator/other' })
  await run('', request('web'))
  await run('', request('web'))
  assert.equal(made(), 4)
  assert.equal(store.keys().filter((key) => key.startsWith('idempotency/')).length, 2)
})

test('serves two at the same time one after the other', async () => {
  const { run, request, made } = setUp()
  const answers = await Promise.all([1, 2, 3].map(() => run('k', request('web'))))
  assert.deepEqual(new Set(answers.map((answer) => answer.id)), new Set(['web-1']))
  assert.equal(made(), 1)
})

test('does not remember a failure', async () => {
  const { run, request, made } = setUp()
  await assert.rejects(run('k', request('web'), { fail: true }))
  await run('k', request('web'))
  assert.equal(made(), 1)
})

test('forgets after a day, and sweeps what is forgotten', async () => {
  const { run, request, made, idempotency, store, pass } = setUp()
  await run('k', request('web'))
  await run('gone', request('web'))
  pass(idempotencyRetentionMs - 1)
  assert.equal(await idempotency.sweep(), 0)
  await run('k', request('web'))
  assert.equal(made(), 2)
  pass(1)
  await run('k', request('other'))
  assert.equal(made(), 3)
  assert.equal(await idempotency.sweep(), 1)
  assert.equal(store.keys().filter((key) => key.startsWith('idempotency/')).length, 1)
})

test('sweeps more than one page', async () => {
  const { run, request, idempotency, pass } = setUp()
  for (let n = 0; n < 1_001; n++) await run(`key-${n}`, request('web'), { inTransaction: false })
  pass(idempotencyRetentionMs)
  assert.equal(await idempotency.sweep(), 1_001)
})

test('refuses keys that cannot be kept', async () => {
  const { run, request } = setUp()
  for (const key of ['x'.repeat(129), 'ä', 'a\nb', '\0']) {
    await assert.rejects(run(key, request('web')), {
      code: 'invalid_argument',
      message: /^idempotency_key: /,
    })
  }
  await run('x'.repeat(128), request('web'))
  await run('a/b %2f', request('web'))
})

test('reads the key from the request, else from the header', () => {
  const context = { requestHeader: new Headers({ 'Idempotency-Key': 'header' }) }
  assert.equal(idempotencyKeyOf({ idempotencyKey: 'field' }, context), 'field')
  assert.equal(idempotencyKeyOf({ idempotencyKey: '' }, context), 'header')
  assert.equal(idempotencyKeyOf({}, context), 'header')
  assert.equal(idempotencyKeyOf({}, { requestHeader: new Headers() }), '')
})
