import assert from 'node:assert/strict'
import { test } from 'node:test'
import { seededRandom } from '@cloudless/base'
import { describeFault, drawFaults, faultKinds } from './coordinator-faults.ts'

const draws = Array.from({ length: 500 }, (_, seed) => drawFaults(seededRandom(seed)))

test('every kind of fault is drawn about as often, for leaders and followers', () => {
  const all = draws.flat()
  const share = all.length / faultKinds.length
  for (const kind of faultKinds) {
    const ofKind = all.filter((fault) => fault.kind === kind)
    assert.ok(ofKind.length > share / 2 && ofKind.length < share * 2, `${kind}: ${ofKind.length}`)
    for (const who of ['leader', 'follower']) {
      assert.ok(
        ofKind.some((fault) => fault.who === who),
        `${kind} ${who}`,
      )
    }
  }
})

test('some runs have one fault, some several, some at once', () => {
  assert.ok(draws.some(({ length }) => length === 1))
  assert.ok(draws.some(({ length }) => length > 1))
  assert.ok(draws.flat().some(({ beside }) => beside))
  assert.ok(draws.every(([first]) => first?.beside === false))
})

test('the same seed draws the same', () => {
  assert.deepEqual(drawFaults(seededRandom(7)), draws[7])
  assert.equal(
    describeFault({
      ...draws[7]![0]!,
      kind: 'held up',
      who: 'leader',
      holdMs: 1_500,
      beside: true,
    }),
    '+ leader held up for 1.5 s',
  )
})
