import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { GroupedIndex } from './grouped-index.ts'

test('after any moves, each id is in its group and nowhere else', () => {
  const id = fc.constantFrom('a', 'b', 'c')
  const group = fc.option(fc.constantFrom('x', 'y', 'z'), { nil: undefined })
  fc.assert(
    fc.property(fc.array(fc.tuple(id, group), { maxLength: 30 }), (moves) => {
      const index = new GroupedIndex()
      const at = new Map<string, string | undefined>()
      for (const [moved, to] of moves) {
        index.move(moved, at.get(moved), to)
        at.set(moved, to)
      }
      for (const name of ['x', 'y', 'z']) {
        const expected = [...at].filter(([, where]) => where === name).map(([one]) => one)
        assert.deepEqual([...index.of(name)].toSorted(), expected.toSorted())
      }
    }),
  )
})
