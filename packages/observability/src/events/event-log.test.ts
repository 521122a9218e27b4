import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { seededRandom, sleep, systemClock } from '@cloudless/base'
import { runWithContext } from '../context.ts'
import { createLogger } from '../logging/logger.ts'
import { EventLog, type EventLogOptions } from './event-log.ts'
import { MemoryEventStore } from './memory-event-store.ts'
import type { ClusterEvent, EventDraft } from './cluster-event.ts'

const logger = createLogger({ name: 'test', level: 'fatal' })

async function open(
  options: Partial<EventLogOptions> = {},
  store = new MemoryEventStore(),
  seed = 1,
) {
  const deps = { clock: systemClock, random: seededRandom(seed), store, logger }
  return { store, log: await EventLog.open(deps, { systemId: 'coordinator-1', ...options }) }
}

const ready = (resourceId: string): EventDraft => ({
  type: 'node.ready',
  resourceType: 'node',
  resourceId,
  description: `Node ${resourceId} is ready.`,
})

const idsOf = (events: readonly ClusterEvent[]): string[] => events.map((event) => event.resourceId)

async function take(events: AsyncIterable<ClusterEvent>, count: number): Promise<ClusterEvent[]> {
  const taken: ClusterEvent[] = []
  for await (const event of events) if (taken.push(event) === count) break
  return taken
}

describe('the event log', { timeout: 30_000 }, () => {
  it('numbers events in order and says who did it, for which request', async () => {
    const { log } = await open()
    const actor = { type: 'user', id: 'ada' } as const
    runWithContext({ requestId: 'r', correlationId: 'c', actor }, () => log.append(ready('a')))
    log.append({ ...ready('b'), type: 'node.failed', error: 'no answer', namespace: 'x' })
    const { events, total, nextToken } = await log.list({})
    assert.equal(total, 2)
    assert.equal(nextToken, '')
    const { timestampMs, ...first } = events[0]!
    assert.ok(timestampMs > 0)
    assert.deepEqual(first, {
      sequence: 1,
      type: 'node.ready',
      severity: 'info',
      requestId: 'r',
      correlationId: 'c',
      actorType: 'user',
      actorId: 'ada',
      resourceType: 'node',
      resourceId: 'a',
      namespace: '',
      action: 'ready',
      description: 'Node a is ready.',
      metadata: {},
      success: true,
      error: '',
    })
    const second = events[1]!
    assert.deepEqual(
      [second.sequence, second.severity, second.success, second.actorId, second.namespace],
      [2, 'error', false, 'coordinator-1', 'x'],
    )
    await log.close()
  })

  it('keeps no secret', async () => {
    const { log, store } = await open()
    log.append({
      ...ready('a'),
      description: 'Bearer hunter2hunter2',
      metadata: { joinToken: 'hunter2' },
    })
    await log.close()
    for (const { value } of store.entries.values()) {
      assert.doesNotMatch(Buffer.from(value).toString(), /hunter2/)
    }
  })

  it('writes many events with few transactions, and all of them before it is closed', async () => {
    const { log, store } = await open({ flushMs: 60_000 })
    for (let n = 0; n < 120; n++) log.append(ready(String(n)))
    assert.equal(store.transactions, 0)
    await log.close()
    assert.equal(store.transactions, 3)
    const { log: again } = await open({}, store)
    assert.equal((await again.list({})).total, 120)
    await again.close()
  })

  it('keeps the newest only', async () => {
    const { log } = await open({ eventsMax: 30 })
    for (let n = 0; n < 200; n++) {
      log.append(ready(String(n)))
      if (n % 7 === 0) await log.flush()
    }
    const { events, total } = await log.list({}, { limit: 1 })
    assert.equal(total, 30)
    assert.equal(events[0]?.sequence, 171)
    await log.close()
  })

  it('lists in pages that together are all that match', async () => {
    const { log } = await open()
    for (let n = 0; n < 25; n++)
      log.append({ ...ready(String(n)), type: n % 2 ? 'node.ready' : 'node.offline' })
    const seen: string[] = []
    let continueToken = ''
    do {
      const page = await log.list({ types: ['node.ready'] }, { limit: 5, continueToken })
      assert.equal(page.total, 12)
      seen.push(...idsOf(page.events))
      continueToken = page.nextToken
    } while (continueToken !== '')
    assert.deepEqual(
      seen,
      Array.from({ length: 12 }, (_, n) => String(2 * n + 1)),
    )
    await assert.rejects(log.list({}, { limit: 5_000 }), { code: 'invalid_argument' })
    await assert.rejects(log.list({}, { continueToken: 'x' }), { code: 'invalid_argument' })
    await assert.rejects(log.list({ types: ['nod.*'] }), { code: 'invalid_argument' })
    await log.close()
  })

  it('tells a watch the past it asked for, then what comes, each once', async () => {
    const { log } = await open({ flushMs: 5 })
    for (let n = 0; n < 10; n++) log.append(ready(String(n)))
    const { signal } = new AbortController()
    await log.flush()
    const tail = take(log.watch({}, { tail: 3, signal }), 5)
    const after = take(log.watch({}, { afterSequence: 8, signal }), 4)
    const fresh = take(log.watch({}, { signal }), 2)
    await new Promise((resolve) => setImmediate(resolve))
    log.append(ready('10'))
    log.append(ready('11'))
    assert.deepEqual(idsOf(await tail), ['7', '8', '9', '10', '11'])
    assert.deepEqual(idsOf(await after), ['8', '9', '10', '11'])
    assert.deepEqual(idsOf(await fresh), ['10', '11'])
    await log.close()
  })

  it('ends a watch that is not read, and disturbs no other', async () => {
    const { log } = await open({ watchQueueMax: 10 })
    const { signal } = new AbortController()
    const slow = log.watch({}, { tail: 1, signal })
    log.append(ready('first'))
    assert.equal((await slow.next()).value?.resourceId, 'first')
    const quick = take(log.watch({}, { afterSequence: 1, signal }), 50)
    for (let n = 0; n < 50; n++) {
      log.append(ready(String(n)))
      if (n % 5 !== 4) continue
      await log.flush()
      await new Promise((resolve) => setImmediate(resolve))
    }
    assert.equal((await quick).length, 50)
    await assert.rejects(take(slow, 50), { code: 'resource_exhausted', message: /read faster/ })
    await log.close()
  })

  it('ends watches without an error on their signal, and with one when the log is closed', async () => {
    const { log } = await open()
    const abort = new AbortController()
    const left = take(log.watch({}, { signal: abort.signal }), 1)
    abort.abort()
    assert.deepEqual(await left, [])
    const staying = take(log.watch({}, { signal: new AbortController().signal }), 1)
    const ended = assert.rejects(staying, { code: 'unavailable' })
    await log.close()
    await ended
  })

  it('keeps what a full store did not take, and writes it once there is space', async () => {
    const { log, store } = await open({ flushMs: 1 })
    store.failure = 'full'
    log.append(ready('a'))
    await assert.rejects(log.flush(), { code: 'resource_exhausted' })
    log.append(ready('b'))
    store.failure = 'none'
    await log.flush()
    assert.deepEqual(idsOf((await log.list({})).events), ['a', 'b'])
    await log.close()
  })

  it('complains once of a write that took long and failed, however many events came meanwhile', async () => {
    const said: string[] = []
    const store = new MemoryEventStore()
    const log = await EventLog.open(
      {
        ...{ clock: systemClock, random: seededRandom(1), store },
        logger: createLogger({ name: 'test' }, { write: (line) => void said.push(line) }),
      },
      { systemId: 'coordinator-1', flushMs: 1 },
    )
    const held = Promise.withResolvers<void>()
    store.held = held.promise
    for (let n = 0; n < 5; n++) {
      log.append(ready(String(n)))
      await sleep(systemClock, 5)
    }
    store.failure = 'full'
    held.resolve()
    while (said.length === 0) await sleep(systemClock, 1)
    store.failure = 'none'
    assert.equal((await log.list({})).total, 5)
    await log.close()
    assert.equal(said.length, 1, said.join())
    assert.match(said[0]!, /could not be written and wait for the next try/)
  })

  it('writes a batch once when its answer was lost', async () => {
    const { log, store } = await open({ flushMs: 60_000 })
    store.failure = 'lost answer'
    log.append(ready('a'))
    await assert.rejects(log.flush(), { code: 'unavailable' })
    await log.flush()
    assert.equal((await log.list({})).total, 1)
    await log.close()
  })

  it('drops the newest when a store is away for too long, and tells how many', async () => {
    const { log, store } = await open({ flushMs: 60_000 })
    store.failure = 'full'
    for (let n = 0; n < 10_005; n++) log.append(ready(String(n)))
    store.failure = 'none'
    const { events } = await log.list({ types: ['coordinator.events_lost'] })
    assert.match(events[0]!.description, /^5 events were lost/)
    await log.close()
  })

  it('shares one numbering with other coordinators, and tells their events too', async () => {
    const store = new MemoryEventStore()
    const { log: one } = await open({}, store, 1)
    const { log: other } = await open({}, store, 2)
    const { signal } = new AbortController()
    const seen = take(one.watch({}, { signal }), 40)
    for (let n = 0; n < 20; n++) {
      one.append(ready(`one-${n}`))
      other.append(ready(`other-${n}`))
      await Promise.all([one.flush(), other.flush()])
    }
    const sequences = (await seen).map((event) => event.sequence)
    assert.deepEqual(
      sequences,
      Array.from({ length: 40 }, (_, n) => n + 1),
    )
    await Promise.all([one.close(), other.close()])
  })
})
