import assert from 'node:assert/strict'
import { test } from 'node:test'
import { pick, seededRandom, systemClock, type Random } from '@cloudless/base'
import * as fc from 'fast-check'
import { checkLinearizable } from './linearizability.ts'
import { registerModel, type RegisterOperation, type RegisterState } from './register-model.ts'

const initial: RegisterState = { value: '-', revision: 0 }

function verdictOf(operations: readonly RegisterOperation[]): string {
  return checkLinearizable(registerModel(initial), operations, { clock: systemClock }).kind
}

/**
 * Reads "0-4 w a, 1-2 r a@1, 3-? a>b": a write, a read and a compare-and-set of unknown outcome. The number after @ is how
 * many writes were before.
 */
function parseHistory(text: string): RegisterOperation[] {
  return text.split(', ').map((part, n): RegisterOperation => {
    const [span = '', kind = '', what = ''] = part.split(' ')
    const [from = '', to = ''] = span.split('-')
    const [value = '', revision = ''] = what.split('@')
    const [expected = '', next = ''] = kind.split('>')
    const made = { client: `client ${n}`, calledMs: Number(from) }
    const atMs = Number(to)
    if (kind === 'r') {
      const answer = { value, revision: Number(revision) }
      return { ...made, action: { kind: 'read' }, returned: { atMs, answer } }
    }
    const returned = to === '?' ? {} : { returned: { atMs, answer: 'done' as const } }
    return kind === 'w'
      ? { ...made, action: { kind: 'write', value }, ...returned }
      : { ...made, action: { kind: 'compare-and-set', expected, value: next }, ...returned }
  })
}

for (const [property, history, expected] of [
  ['a read after a write sees it', '0-1 w a, 2-3 r a@1', 'linearizable'],
  ['a read beside a write may miss it', '0-9 w a, 1-2 r -@0', 'linearizable'],
  ['a read beside a write may see it', '0-9 w a, 1-2 r a@1', 'linearizable'],
  ['what was seen stays seen', '0-9 w a, 1-2 r a@1, 3-4 r -@0', 'violated'],
  ['a stale read', '0-1 w a, 2-3 w b, 4-5 r a@1', 'violated'],
  ['a lost write', '0-1 w a, 2-3 r -@0', 'violated'],
  ['a write done twice', '0-1 w a, 2-3 r a@2', 'violated'],
  ['a value that nobody wrote', '0-1 w a, 2-3 r b@1', 'violated'],
  ['writes side by side come in either order', '0-9 w a, 0-9 w b, 10-11 r a@2', 'linearizable'],
  ['but in one only', '0-9 w a, 0-9 w b, 10-11 r a@2, 12-13 r b@2', 'violated'],
  ['an unknown write may be done late', '0-? w a, 1-2 r -@0, 8-9 r a@1', 'linearizable'],
  ['or never', '0-? w a, 1-2 r -@0, 3-4 w b, 5-6 r b@1', 'linearizable'],
  ['but not undone', '0-? w a, 1-2 r a@1, 3-4 r -@0', 'violated'],
  ['nor before it was called', '0-1 r a@1, 2-? w a', 'violated'],
  ['nor twice', '0-? w a, 1-2 r a@1, 3-4 w b, 5-6 r a@3', 'violated'],
  ['compare-and-set over what is there', '0-1 w a, 2-3 a>b, 4-5 r b@2', 'linearizable'],
  ['over what is there no more', '0-1 w a, 2-3 w b, 4-5 a>c', 'violated'],
  ['two of them over the same', '0-1 w a, 2-9 a>b, 2-9 a>c', 'violated'],
  ['of unknown outcome over the same', '0-1 w a, 2-? a>b, 2-9 a>c, 10-11 r c@2', 'linearizable'],
  ['an unknown one whose turn is over', '0-1 w a, 2-? a>b, 3-4 w c, 5-6 r b@3', 'violated'],
  ['moments that touch overlap', '0-2 w a, 2-3 r -@0', 'linearizable'],
] as const) {
  test(`${property}: ${history} is ${expected}`, () => {
    assert.equal(verdictOf(parseHistory(history)), expected)
  })
}

/** What clients of a real register saw, each doing one thing after the other; some are not told what became of it. */
function realHistory(random: Random): RegisterOperation[] {
  const operations: RegisterOperation[] = []
  const clients = Array.from({ length: 4 }, (_, n) => ({ name: `client ${n}`, freeAtMs: 0 }))
  const seen = [initial.value]
  const moments = Array.from({ length: 60 }, (_, n) => n * 10)
  let state = initial
  for (const atMs of moments) {
    const client = pick(
      random,
      clients.filter(({ freeAtMs }) => freeAtMs < atMs),
    )
    if (client === undefined) continue
    const calledMs = atMs - random.next() * (atMs - client.freeAtMs)
    const returnedMs = atMs + random.next() * 80
    const isUnknown = random.next() < 0.15
    const action = someAction(random, { seen, n: operations.length })
    // Half of what is not known to be done is not done.
    const isDone = !isUnknown || random.next() < 0.5
    const answer = action.kind === 'read' ? state : ('done' as const)
    const isRefused = action.kind === 'compare-and-set' && action.expected !== state.value
    client.freeAtMs = returnedMs
    if (isRefused && !isUnknown) continue
    if (action.kind !== 'read' && isDone && !isRefused) {
      state = { value: action.value, revision: state.revision + 1 }
      seen.push(action.value)
    }
    const returned = isUnknown ? {} : { returned: { atMs: returnedMs, answer } }
    operations.push({ client: client.name, action, calledMs, ...returned })
  }
  return operations
}

function someAction(
  random: Random,
  { seen, n }: { readonly seen: readonly string[]; readonly n: number },
): RegisterOperation['action'] {
  const drawn = random.next()
  if (drawn < 0.5) return { kind: 'read' }
  if (drawn < 0.7) return { kind: 'write', value: `v${n}` }
  return { kind: 'compare-and-set', expected: seen.at(-1)!, value: `v${n}` }
}

test('accepts what a real register answers, however the calls overlap', () => {
  fc.assert(
    fc.property(fc.integer(), (seed) => {
      assert.equal(verdictOf(realHistory(seededRandom(seed))), 'linearizable')
    }),
    { numRuns: 300 },
  )
})

/** One more read, when all is over, of what was there before the last known write. */
function withStaleRead(operations: readonly RegisterOperation[]): RegisterOperation[] | undefined {
  const reads = operations.filter(({ action, returned }) => action.kind === 'read' && returned)
  const last = reads.at(-1)
  const early = reads.find(({ returned }) => {
    const answer = returned!.answer as RegisterState
    return answer.revision < (last!.returned!.answer as RegisterState).revision
  })
  if (last === undefined || early === undefined) return undefined
  const atMs = Math.max(...operations.map(({ returned }) => returned?.atMs ?? 0))
  const returned = { atMs: atMs + 2, answer: early.returned!.answer }
  return [...operations, { client: 'late', calledMs: atMs + 1, action: { kind: 'read' }, returned }]
}

/** Without one write that somebody has read. */
function withLostWrite(operations: readonly RegisterOperation[]): RegisterOperation[] | undefined {
  const read = operations.find(
    ({ action, returned }) =>
      action.kind === 'read' && (returned?.answer as RegisterState | undefined)?.revision === 3,
  )
  const value = (read?.returned?.answer as RegisterState | undefined)?.value
  if (value === undefined) return undefined
  return operations.filter(({ action }) => action.kind === 'read' || action.value !== value)
}

for (const [fault, mutate] of [
  ['a stale read', withStaleRead],
  ['a lost write', withLostWrite],
] as const) {
  test(`refuses every history with ${fault}`, () => {
    let tried = 0
    fc.assert(
      fc.property(fc.integer(), (seed) => {
        const mutated = mutate(realHistory(seededRandom(seed)))
        if (mutated === undefined) return
        tried++
        assert.equal(verdictOf(mutated), 'violated')
      }),
      { numRuns: 300 },
    )
    assert.ok(tried > 100, `only ${tried} of the histories had a place for it`)
  })
}

test('gives up a search that takes too long, and says so', () => {
  const unknown = Array.from({ length: 40 }, (_, n) => `0-? w u${n}`)
  const history = parseHistory([...unknown, '1-2 w a', '3-4 r b@21'].join(', '))
  const check = { clock: systemClock, checkMsMax: 50 }
  assert.equal(checkLinearizable(registerModel(initial), history, check).kind, 'undecided')
})
