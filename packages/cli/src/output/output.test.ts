import assert from 'node:assert/strict'
import { test } from 'node:test'
import { FakeIo } from '../testing/fake-io.ts'
import { LiveBlock } from './live-block.ts'
import { formatColumns, formatTable, type Column } from './table.ts'

interface Row {
  readonly name: string
}

const columns: readonly Column<Row>[] = [{ title: 'NAME', value: (row) => row.name }]

test('an empty table says that there is nothing', () => {
  const text = formatTable(columns, [], 0, { headers: true, singular: 'node', plural: 'nodes' })
  assert.match(text, /NAME/)
  assert.match(text, /Total: 0 nodes\n$/)
  assert.equal(
    formatTable(columns, [], 0, { headers: false, singular: 'node', plural: 'nodes' }),
    '',
  )
})

test('control characters of a name cannot move the cursor', () => {
  const rows = [{ name: 'evil\u001b[2Jname\nmore' }]
  for (const headers of [true, false]) {
    const text = formatTable(columns, rows, 0, { headers, singular: 'node', plural: 'nodes' })
    assert.ok(!text.includes('\u001b'))
    assert.match(text, /evil \[2Jname more/)
  }
})

test('rows printed later line up with wider ones printed before', () => {
  const widths: number[] = []
  formatColumns([['a-long-name', 'x']], widths)
  assert.equal(formatColumns([['b', 'y']], widths), 'b            y\n')
})

test('a live block is drawn over itself, cut to the window', () => {
  const io = new FakeIo({ terminal: true })
  io.window = { columns: 10, rows: 4 }
  const block = new LiveBlock(io, (text) => io.out(text))
  block.show('one\ntwo\n')
  block.show('a line that is too long\n2\n3\n4\n5\n')
  assert.equal(io.outText, '\u001b[Jone\ntwo\n\u001b[2A\r\u001b[Ja line th…\n2\n3\n')
})
