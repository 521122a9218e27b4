import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { Journal } from './journal.ts'

describe('a journal', () => {
  it('tells what changed since, in order', () => {
    const journal = new Journal()
    journal.note(7)
    const { position } = journal
    for (const row of [3, 1, 3]) journal.note(row)
    const rows: number[] = []
    assert.ok(journal.since(position, (row) => rows.push(row)))
    assert.deepEqual(rows, [3, 1, 3])
    assert.ok(journal.since(journal.position, () => assert.fail('nothing changed')))
  })

  it('says so when it does not know any more, and tells nothing', () => {
    const journal = new Journal()
    for (let row = 0; row < 2 ** 16; row++) journal.note(row)
    let told = 0
    assert.ok(journal.since(0, () => told++))
    assert.equal(told, 2 ** 16)
    journal.note(0)
    assert.equal(
      journal.since(0, () => assert.fail('it is not known')),
      false,
    )
  })
})
