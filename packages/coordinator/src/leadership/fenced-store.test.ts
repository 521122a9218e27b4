import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { withTransact, type Write } from '@cloudless/metadata'
import { openStore } from '../testing/cluster.ts'
import { FakeClock } from '../testing/fake-clock.ts'
import { fencedStore } from './fenced-store.ts'
import { leaderKey } from './leader-record.ts'
import { leadsNoLonger, Term } from './term.ts'

const put = (key: string): Write => ({ kind: 'put', key, value: Buffer.from(key) })

/** A store whose answers can be held back, and a term that was won in it. */
async function setUp(t: TestContext) {
  const clock = new FakeClock()
  const store = await openStore(t)
  let answers: Promise<void> = Promise.resolve()
  const slow = withTransact(store, async (transaction) => {
    const result = await store.transact(transaction)
    await answers
    return result
  })
  const fence = fencedStore({ clock, store: slow })
  const win = async (): Promise<Term> => {
    const won = await store.transact({ writes: [put(leaderKey)] })
    assert.ok(won.kind === 'committed')
    const term = new Term(clock, {
      ...{ number: won.revision, leaseId: '1' },
      ...{ askedAtMs: clock.monotonicMs(), leaseMs: 10_000 },
    })
    fence.enter(term)
    return term
  }
  const holdBack = (): (() => void) => {
    const held = Promise.withResolvers<void>()
    answers = held.promise
    return held.resolve
  }
  return { clock, store, fence, win, holdBack }
}

const ended = leadsNoLonger('it is shutting down')

test('a write that is under way when its term ends is answered, if the store answers soon', async (t) => {
  const { clock, fence, win, holdBack } = await setUp(t)
  const term = await win()
  const release = holdBack()
  const answer = fence.transact({ writes: [put('a')] })
  term.end(ended)
  await clock.pass(400)
  release()
  assert.equal((await answer).kind, 'committed')
})

test('a write that the store does not answer is given up after its term, as not known to be done', async (t) => {
  const { clock, fence, win, holdBack } = await setUp(t)
  const term = await win()
  holdBack()
  const answer = fence.transact({ writes: [put('a')] })
  const refused = assert.rejects(answer, { code: 'unavailable', details: { outcome: 'unknown' } })
  term.end(ended)
  await clock.pass(500)
  await refused
})

test('what was begun in the next term is not given up with that of the last', async (t) => {
  const { clock, fence, win, holdBack } = await setUp(t)
  const first = await win()
  const release = holdBack()
  const given = fence.transact({ writes: [put('a')] }).catch((reason: unknown) => reason)
  first.end(ended)
  await clock.pass(400)
  await win()
  const answer = fence.transact({ writes: [put('b')] })
  await clock.pass(400)
  release()
  assert.equal((await answer).kind, 'committed')
  assert.ok((await given) instanceof Error)
})

test('nothing is written in a term that is over, or by one who never led', async (t) => {
  const { store, fence, win } = await setUp(t)
  const refused = { code: 'unavailable', details: { reason: 'not_leader' } }
  await assert.rejects(fence.transact({ writes: [put('a')] }), refused)
  await win()
  await store.transact({ writes: [put(leaderKey)] }) // Another one was elected.
  await assert.rejects(fence.transact({ writes: [put('a')] }), refused)
  assert.equal(await store.get('a'), undefined)
})
