import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { formatLogLine, lineBytesMax, parseLogLine, splitOutput } from './log-line.ts'

test('reads back every line it writes', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 0, max: 4_000_000_000_000_000 }),
      fc.constantFrom('stdout' as const, 'stderr' as const),
      fc.boolean(),
      fc.string({ unit: 'grapheme' }).filter((text) => !/[\n\r]/.test(text)),
      (timestampUs, stream, partial, line) => {
        const formatted = formatLogLine({ timestampUs, stream, partial }, Buffer.from(line))
        assert.equal(formatted.at(-1), 0x0a)
        const parsed = parseLogLine(formatted.toString('utf8', 0, formatted.length - 1))
        assert.deepEqual(parsed, { timestampUs, stream, partial, line })
      },
    ),
  )
  for (const text of ['', 'x', '2026 stdout F x', '2026-11-20T21:50:54.123456Z other F x']) {
    assert.equal(parseLogLine(text), undefined, text)
  }
})

test('splits output the same however it is cut', () => {
  fc.assert(
    fc.property(
      fc.array(fc.string({ unit: fc.constantFrom('a', 'b', '\n') }), { maxLength: 20 }),
      (parts) => {
        const whole = Buffer.from(parts.join(''))
        const once = splitOutput(whole, true).lines.map(textOf)
        const pieces: string[] = []
        let kept = Buffer.alloc(0)
        for (const part of parts) {
          kept = Buffer.concat([kept, Buffer.from(part)])
          const { lines, consumedBytes } = splitOutput(kept, false)
          pieces.push(...lines.map(textOf))
          kept = kept.subarray(consumedBytes)
        }
        pieces.push(...splitOutput(kept, true).lines.map(textOf))
        assert.deepEqual(pieces, once)
      },
    ),
  )
})

test('parts a line that is too long, and waits for the end of one that is not', () => {
  const long = Buffer.alloc(2 * lineBytesMax + 5, 'x')
  const { lines, consumedBytes } = splitOutput(long, false)
  assert.deepEqual(
    lines.map(({ content, partial }) => [content.length, partial]),
    [
      [lineBytesMax, true],
      [lineBytesMax, true],
    ],
  )
  assert.equal(consumedBytes, 2 * lineBytesMax)
  assert.deepEqual(splitOutput(Buffer.from('ab'), false), { lines: [], consumedBytes: 0 })
  assert.deepEqual(splitOutput(Buffer.from('\n\n'), false).lines.map(textOf), ['', ''])
})

function textOf({ content }: { readonly content: Uint8Array }): string {
  return Buffer.from(content).toString()
}
