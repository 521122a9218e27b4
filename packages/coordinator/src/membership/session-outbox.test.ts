import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { create } from '@bufbuild/protobuf'
import {
  DialBackSchema,
  ReplicaState,
  type CoordinatorMessage,
  type ReplicaRecord,
} from '@cloudless/api'
import type { Clock } from '@cloudless/base'
import { stopping } from '../controllers/replica-records.ts'
import { readyReplica } from '../testing/records.ts'
import { FakeClock } from '../testing/fake-clock.ts'
import { SessionOutbox, shouldRun } from './session-outbox.ts'

const atOnce = { clock: new FakeClock(), holdMs: 0 }

function open(held: { readonly clock: Clock; readonly holdMs: number } = atOnce) {
  const records = new Map<string, ReplicaRecord>()
  const outbox = new SessionOutbox({
    nodeId: 'node-a',
    replica: (id) => records.get(id),
    replicasOnNode: () => [...records.values()].filter((r) => r.status!.nodeId === 'node-a'),
    clock: held.clock,
    holdMs: () => held.holdMs,
  })
  const abort = new AbortController()
  const reader = outbox.messages(abort.signal)[Symbol.asyncIterator]()
  return { records, outbox, abort, next: async () => (await reader.next()).value }
}

function assignmentsIn(message: CoordinatorMessage) {
  assert.equal(message.message.case, 'assignments')
  return message.message.value as Extract<
    CoordinatorMessage['message'],
    { case: 'assignments' }
  >['value']
}

/** What an agent has that does what it is told. */
class Agent {
  readonly running = new Set<string>()
  readonly #records: ReadonlyMap<string, ReplicaRecord>

  constructor(records: ReadonlyMap<string, ReplicaRecord>) {
    this.#records = records
  }

  take(message: CoordinatorMessage): void {
    if (message.message.case !== 'assignments') return
    const { full, upsert, stop } = message.message.value
    if (full) this.running.clear()
    for (const { replicaId } of upsert) {
      this.running.add(replicaId)
      const record = this.#records.get(replicaId)
      assert.ok(record && shouldRun(record), `${replicaId} was ordered against its record`)
    }
    for (const { replicaId } of stop) this.running.delete(replicaId)
  }
}

test('the first assignments are all of them', async () => {
  const { records, next, outbox } = open()
  records.set('a', readyReplica('a', 'node-a'))
  records.set('b', stopping(readyReplica('b', 'node-a'), 'scaled', 5n))
  records.set('c', readyReplica('c', 'node-b'))
  outbox.touch('a')
  const update = assignmentsIn((await next())!)
  assert.equal(update.full, true)
  assert.deepEqual(
    update.upsert.map((a) => a.replicaId),
    ['a'],
  )
  assert.deepEqual(
    update.stop.map((s) => [s.replicaId, s.reason, s.graceMs]),
    [['b', 'scaled', 5n]],
  )
})

test('what is lost is stopped as fenced, and never run', async () => {
  const { records, next, outbox } = open()
  records.set('a', readyReplica('a', 'node-a', { status: { state: ReplicaState.LOST } }))
  outbox.touch('a')
  const update = assignmentsIn((await next())!)
  assert.deepEqual(update.upsert, [])
  assert.equal(update.stop[0]!.reason, 'fenced')
})

test('a stop is said again when there is less time for it, and only then', async () => {
  const { records, next, outbox } = open()
  const told: unknown[] = []
  for (const graceMs of [60_000n, 60_000n, 0n, 0n]) {
    records.set('a', stopping(readyReplica('a', 'node-a'), 'deleted', graceMs))
    outbox.touch('a')
    if (told.at(-1) === graceMs) continue
    told.push(assignmentsIn((await next())!).stop[0]!.graceMs)
  }
  outbox.close()
  assert.equal(await next(), undefined)
  assert.deepEqual(told, [60_000n, 0n])
})

for (const [property, reason, graceMs, delayMs] of [
  ['clients have time to leave what is stopped', 'updated', undefined, 1_000n],
  ['also what is drained with a grace of its own', 'drained', 5_000n, 1_000n],
  ['what is deleted has no clients to wait for', 'deleted', undefined, undefined],
  ['what is to end at once does not wait', 'drained', 0n, undefined],
] as const) {
  test(property, async () => {
    const { records, next } = open()
    const ready = readyReplica('a', 'node-a')
    const serving = { ...ready, spec: { ...ready.spec!, shutdownDelayMs: 1_000n } }
    records.set('a', stopping(serving, reason, graceMs))
    assert.equal(assignmentsIn((await next())!).stop[0]!.delayMs, delayMs)
  })
}

test('words that are not about assignments come first', async () => {
  const { outbox, next } = open()
  outbox.send({ case: 'dialBack', value: { connectionId: 'c-1' } as never })
  assert.equal((await next())!.message.case, 'dialBack')
  assert.equal(assignmentsIn((await next())!).full, true)
})

test('a stream that was aborted before it began ends', async () => {
  const { abort, next } = open()
  abort.abort()
  assertEnds(await next(), await next())
})

test('an agent that does not read is given up', async () => {
  const { outbox, next } = open()
  for (let n = 0; n <= 1_000; n++) {
    outbox.send({ case: 'dialBack', value: { connectionId: `c-${n}` } as never })
  }
  for (let n = 0; n < 1_000; n++) await next()
  await next()
  await assert.rejects(next(), { code: 'resource_exhausted' })
})

function assertEnds(...messages: (CoordinatorMessage | undefined)[]): void {
  assert.equal(messages.at(-1), undefined)
}

type Change = readonly ['make' | 'stop' | 'lose' | 'delete' | 'elsewhere' | 'read', number]

test('whatever happens in whatever order, the agent ends with what the records say', async () => {
  const change = fc.tuple(
    fc.constantFrom<Change[0]>('make', 'make', 'stop', 'lose', 'delete', 'elsewhere', 'read'),
    fc.nat(4),
  )
  await fc.assert(
    fc.asyncProperty(fc.array(change, { maxLength: 40 }), async (changes) => {
      const { records, outbox, next } = open()
      const agent = new Agent(records)
      const reading = (async () => {
        for (let message = await next(); message; message = await next()) agent.take(message)
      })()
      for (const [kind, n] of changes) {
        if (kind === 'read') {
          // Only here does the agent get to run: between two of these much can happen.
          await new Promise<void>((resolve) => setImmediate(resolve))
          continue
        }
        const id = `r${n}`
        const before = records.get(id)
        if (kind === 'make' && before) continue
        if (kind !== 'make' && !before) continue
        if (kind === 'make') records.set(id, readyReplica(id, 'node-a'))
        if (kind === 'stop') records.set(id, stopping(before!, 'scaled', undefined))
        if (kind === 'lose') {
          records.set(id, readyReplica(id, 'node-a', { status: { state: ReplicaState.LOST } }))
        }
        if (kind === 'delete') records.delete(id)
        if (kind === 'elsewhere') records.set(id, readyReplica(id, 'node-b'))
        outbox.touch(id)
      }
      outbox.close()
      await reading
      const expected = [...records.values()]
        .filter((r) => r.status!.nodeId === 'node-a' && shouldRun(r))
        .map((r) => r.status!.id)
      assert.deepEqual([...agent.running].toSorted(), expected.toSorted())
    }),
    { numRuns: 300 },
  )
})

test('what changes soon after an update is told together, later', async () => {
  const clock = new FakeClock()
  const { records, next, outbox } = open({ clock, holdMs: 1_000 })
  await next()
  clock.advance(5_000)
  const assign = (id: string): void => {
    records.set(id, readyReplica(id, 'node-a'))
    outbox.touch(id)
  }
  assign('a')
  assert.deepEqual(replicaIdsIn(await next()), ['a'], 'after a while of quiet nothing waits')
  const told = next()
  let isTold = false
  void told.then(() => (isTold = true))
  for (const id of ['b', 'c', 'd']) {
    assign(id)
    await clock.pass(300)
    assert.equal(isTold, false)
  }
  await clock.pass(100)
  assert.deepEqual(replicaIdsIn(await told), ['b', 'c', 'd'])
})

test('what is said directly does not wait, and the end of a session brings what does', async () => {
  const clock = new FakeClock()
  const { records, next, outbox } = open({ clock, holdMs: 1_000 })
  await next()
  records.set('a', readyReplica('a', 'node-a'))
  outbox.touch('a')
  const heard = next()
  await clock.pass(100)
  outbox.send({ case: 'dialBack', value: create(DialBackSchema, { connectionId: 'c' }) })
  assert.equal((await heard)!.message.case, 'dialBack')
  const last = next()
  outbox.close()
  assert.deepEqual(replicaIdsIn(await last), ['a'])
  assert.equal(await next(), undefined)
  assert.equal(clock.timerCount, 0)
})

function replicaIdsIn(message: CoordinatorMessage | undefined): string[] {
  return assignmentsIn(message!).upsert.map(({ replicaId }) => replicaId)
}
