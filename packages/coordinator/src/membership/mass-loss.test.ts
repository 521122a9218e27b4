import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  beginMassLoss,
  calm,
  isMassLoss,
  stepMassLoss,
  type Absent,
  type HeldNode,
  type MassLoss,
} from './mass-loss.ts'

const minuteMs = 60_000
const options = { holdMs: 5 * minuteMs, evictionsPerMinute: 1 }

const pictures: readonly [string, [present: number, silent: number, lost: number], boolean][] = [
  ['one of three', [2, 0, 1], false],
  ['two of three', [1, 1, 1], false],
  ['all of three', [0, 2, 1], true],
  ['three of four', [1, 2, 1], true],
  ['three of nine', [6, 2, 1], true],
  ['three of ten', [7, 2, 1], false],
  ['twenty of forty, of which one has crossed its limit', [20, 19, 1], true],
  ['a tenth of five thousand', [4_500, 400, 100], false],
  ['none of none', [0, 0, 0], false],
]
for (const [name, [present, silent, lost], expected] of pictures) {
  test(`${name} ${expected ? 'is' : 'is not'} a mass loss`, () => {
    const census = { present, silent, lost }
    assert.equal(isMassLoss(census), expected)
    const { state, word } = beginMassLoss(calm, census, away([]), 0, options)
    assert.equal(state.kind, expected ? 'held' : 'calm')
    assert.equal(word, expected ? 'begun' : undefined)
  })
}

const many = { present: 20, silent: 19, lost: 1 }
const begun = beginMassLoss(calm, many, away([]), 0, options).state
const held = (count: number, lostAtMs = 0): HeldNode[] =>
  Array.from({ length: count }, (_, n) => ({
    nodeId: `node-${String(n).padStart(2, '0')}`,
    lostAtMs,
    heldUntilMs: lostAtMs + options.holdMs,
  }))
const after = (nodes: HeldNode[], atMs: number, from = begun): MassLoss =>
  stepMassLoss(from, away(nodes), atMs, options).state
/** These, and so many others that are not held; nobody is silent. */
function away(nodes: readonly HeldNode[], others = 0, lostAtMs = 0): Absent {
  const lost = Array.from({ length: others }, (_, n) => [`other-${n}`, lostAtMs] as const)
  return {
    held: nodes,
    lostAtMs: new Map([...nodes.map((node) => [node.nodeId, node.lostAtMs] as const), ...lost]),
    silent: 0,
  }
}
const allBack = after([], 20_000, after(held(20), 100))

const steps: readonly [string, MassLoss, HeldNode[], number, string][] = [
  ['nobody is let go at first', after(held(20), 100), held(20), 59_999, 'held'],
  ['after a minute one is', after(held(20), 100), held(20), 60_000, 'held: node-00'],
  [
    'the longest away',
    after(held(20), 100),
    [...held(2, 50), { ...held(1)[0]!, nodeId: 'x' }],
    60_000,
    'held: x',
  ],
  ['while half are away it goes on', after(held(20), 100), held(10), 30_000, 'held'],
  ['most are back, but still coming', after(held(9), 20_000), held(9), 34_999, 'held'],
  [
    'most are back and the picture is clear',
    after(held(9), 20_000),
    held(9),
    35_000,
    'held: all 9',
  ],
  ['all are back, but for how long', allBack, [], 34_999, 'held'],
  ['all are back', allBack, [], 35_000, 'calm over'],
  [
    'nobody is held for longer than the hold',
    after(held(20), 100),
    held(20),
    300_000,
    'held: all 20',
  ],
  ['a restart in the middle is no new beginning', calm, held(20), 10_000, 'held'],
  ['nor is it the end', calm, held(20), 310_000, 'held: all 20'],
  ['calm stays calm', calm, [], 10_000, 'calm'],
]
for (const [name, before, nodes, nowMs, expected] of steps) {
  test(name, () => {
    const { state, release, word } = stepMassLoss(before, away(nodes), nowMs, options)
    const released =
      release.length === 0 ? '' : `: ${release.length > 1 ? `all ${release.length}` : release[0]}`
    assert.equal(state.kind + released + (word ? ` ${word}` : ''), expected)
  })
}

test('those that were let go, or went just before, are not back', () => {
  const absent = away(held(9), 11)
  const { state } = stepMassLoss(begun, absent, 20_000, options)
  assert.deepEqual(stepMassLoss(state, absent, 50_000, options).release, [])
})

test('those that are silent and not given up yet are not back', () => {
  const start = after(held(3), 100)
  const silent = { ...away(held(3)), silent: 17 }
  const open = stepMassLoss(start, silent, 20_000, options)
  assert.deepEqual([open.release, open.wakeAtMs], [[], 35_000])
  const isStillOpen = stepMassLoss(open.state, silent, 35_000, options)
  assert.deepEqual([isStillOpen.release, isStillOpen.wakeAtMs], [[], 50_000])
  const { release } = stepMassLoss(isStillOpen.state, away(held(3)), 50_000, options)
  assert.equal(release.length, 3, 'they were heard again')
})

test('a few that are silent, of those that are back, keep nobody waiting', () => {
  const few = { ...away(held(3)), silent: 6 }
  assert.equal(stepMassLoss(after(held(3), 100), few, 20_000, options).release.length, 3)
})

test('those that had been away for long are nobody who could come back', () => {
  const start = beginMassLoss(calm, many, away([], 100, -minuteMs), 0, options).state
  const absent = away(held(9), 100, -minuteMs)
  const { state } = stepMassLoss(start, absent, 20_000, options)
  assert.equal(stepMassLoss(state, absent, 35_000, options).release.length, 9)
})

test('where nothing is to be held nothing is', () => {
  const none = { ...options, holdMs: 0 }
  assert.equal(beginMassLoss(calm, many, away([]), 0, none).state.kind, 'calm')
})

test('with a rate of none nobody is let go before the hold is over', () => {
  const none = { ...options, evictionsPerMinute: 0 }
  const start = beginMassLoss(calm, many, away([]), 0, none).state
  const { state, release, wakeAtMs } = stepMassLoss(start, away(held(20)), 299_999, none)
  assert.deepEqual([state.kind, release, wakeAtMs], ['held', [], 300_000])
})

/** What happens to nodes while they are held: some are lost, some return, time passes. */
interface History {
  readonly changes: readonly (readonly ['lose' | 'return' | 'wait' | 'restart', number])[]
  /** So many are silent all the time. */
  readonly silent: number
}

const history: fc.Arbitrary<History> = fc.record({
  changes: fc.array(
    fc.tuple(fc.constantFrom('lose', 'return', 'wait', 'wait', 'restart'), fc.nat(20)),
    { maxLength: 60 },
  ),
  silent: fc.nat(20),
})

test('no node is held for longer than the hold, none is let go twice, and it ends', () => {
  fc.assert(
    fc.property(history, ({ changes, silent }) => {
      const absent = new Map<string, HeldNode>()
      let released = 0
      let [state, nowMs, next]: [MassLoss, number, number] = [calm, 0, 0]
      const lose = (count: number): void => {
        state = beginMassLoss(
          state,
          { present: 3, silent: count, lost: 1 },
          away([], released),
          nowMs,
          options,
        ).state
        if (state.kind === 'calm') return
        for (let n = 0; n < count; n++) {
          const nodeId = `node-${next++}`
          absent.set(nodeId, { nodeId, lostAtMs: nowMs, heldUntilMs: nowMs + options.holdMs })
        }
      }
      const step = (): number => {
        const gone = { ...away([...absent.values()], released), silent }
        const taken = stepMassLoss(state, gone, nowMs, options)
        state = taken.state
        for (const nodeId of taken.release) assert.ok(absent.delete(nodeId), `${nodeId} twice`)
        released += taken.release.length
        for (const node of absent.values()) assert.ok(nowMs < node.heldUntilMs, 'held for too long')
        return taken.wakeAtMs
      }
      for (const [what, count] of changes) {
        if (what === 'lose') lose(count)
        if (what === 'return')
          for (const id of [...absent.keys()].slice(0, count)) absent.delete(id)
        if (what === 'restart') state = calm
        if (what === 'return' && absent.size === 0) released = 0
        const wakeAtMs = step()
        if (what === 'wait') nowMs = Math.min(nowMs + count * 5_000, Math.max(nowMs, wakeAtMs))
        step()
      }
      for (let turns = 0; state.kind === 'held'; turns++) {
        assert.ok(turns < 200, 'it never ends')
        nowMs = Math.max(nowMs + 1, Math.min(step(), nowMs + options.holdMs))
        step()
      }
      assert.equal(absent.size, 0)
    }),
  )
})
