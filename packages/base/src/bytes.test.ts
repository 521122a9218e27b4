import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import * as fc from 'fast-check'
import { formatBytes, parseBytes } from './bytes.ts'

describe('sizes in bytes', () => {
  const parsed: readonly (readonly [string, number | undefined])[] = [
    ['0', 0],
    ['1048576', 1_048_576],
    ['512Mi', 512 * 1024 ** 2],
    ['512 MiB', 512 * 1024 ** 2],
    ['1.5Gi', 1.5 * 1024 ** 3],
    ['100M', 100_000_000],
    ['10k', 10_000],
    ['2Ti', 2 * 1024 ** 4],
    ['10B', 10],
    ['', undefined],
    ['-1', undefined],
    ['Mi', undefined],
    ['1mi', undefined],
    ['1Pi', undefined],
    ['1e9', undefined],
  ]
  for (const [text, bytes] of parsed) {
    it(`reads ${JSON.stringify(text)} as ${bytes}`, () => assert.equal(parseBytes(text), bytes))
  }

  const formatted: readonly (readonly [number, string])[] = [
    [0, '0'],
    [1023, '1023'],
    [1024, '1Ki'],
    [1536, '1.5Ki'],
    [512 * 1024 ** 2, '512Mi'],
    [1.5 * 1024 ** 3, '1.5Gi'],
    [5000 * 1024 ** 4, '5000Ti'],
  ]
  for (const [bytes, text] of formatted) {
    it(`shows ${bytes} as ${text}`, () => assert.equal(formatBytes(bytes), text))
  }

  it('are read back as shown, to within the digits shown', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 2 ** 50 }), (bytes) => {
        const back = parseBytes(formatBytes(bytes))!
        assert.ok(Math.abs(back - bytes) <= bytes * 0.06)
      }),
    )
  })
})
