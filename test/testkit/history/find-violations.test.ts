import assert from 'node:assert/strict'
import { test } from 'node:test'
import { systemClock } from '@cloudless/base'
import { findViolations } from './find-violations.ts'
import { History } from './history.ts'
import type { Creation } from './recorded-clients.ts'
import type { RegisterAction, RegisterAnswer } from './register-model.ts'

for (const [property, outcome, answered, found, expected] of [
  ['what was acknowledged is there', 'done', 'a', 'a', undefined],
  ['what was acknowledged twice as the same is there', 'done', 'a a', 'a', undefined],
  ['what was acknowledged and is gone is lost', 'done', 'a', '', 'lost'],
  ['so is what became something else', 'done', 'a', 'b', 'lost'],
  ['two answers to one are one too many', 'done', 'a b', 'a', 'duplicated'],
  ['two of one are one too many', 'done', 'a', 'a b', 'duplicated'],
  ['also when nothing was answered', 'unknown', '', 'a b', 'duplicated'],
  ['what is not known may be there', 'unknown', '', 'a', undefined],
  ['or not', 'unknown', '', '', undefined],
  ['what was refused is not there', 'refused', '', '', undefined],
  ['and must not be', 'refused', '', 'a', 'duplicated'],
] as const) {
  test(property, () => {
    const ids = words(answered)
    const creations: Creation[] = [{ name: 'one', ids, outcome }]
    const created = new Map(found === '' ? [] : [['one', words(found)]])
    const registers = new History<RegisterAction, RegisterAnswer>(systemClock)
    const kinds = findViolations({ registers, creations, created }).map(({ kind }) => kind)
    assert.deepEqual(kinds, expected === undefined ? [] : [expected])
  })
}

test('what nobody asked for is said', () => {
  const registers = new History<RegisterAction, RegisterAnswer>(systemClock)
  const created = new Map([['one', ['a']]])
  const [violation] = findViolations({ registers, creations: [], created })
  assert.equal(violation?.kind, 'duplicated')
})

test('what was written by one that was refused is said', () => {
  const registers = new History<RegisterAction, RegisterAnswer>(systemClock)
  registers.begin('x', 'one', { kind: 'write', value: 'a' }).refused()
  const value = { value: 'a', revision: 2 }
  registers.begin('x', 'two', { kind: 'read' }).done(value)
  const [violation] = findViolations({ registers, creations: [], created: new Map() })
  assert.equal(violation?.kind, 'not linearizable')
  assert.match(violation.what, /two: reads a@2/)
  assert.deepEqual(registers.counts, { done: 1, refused: 1, unknown: 0 })
})

function words(text: string): string[] {
  return text.split(' ').filter((word) => word !== '')
}
