import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { systemClock } from '@cloudless/base'
import * as fc from 'fast-check'
import { metricsPageLimits, PrometheusReader } from './prometheus-reader.ts'

const names = ['requests_total', 'queue', 'a:b', 'constructor']

/** What is read of a page that comes in pieces of so many bytes. */
function read(page: string | Uint8Array, pieceBytes = Number.POSITIVE_INFINITY) {
  const bytes = typeof page === 'string' ? new TextEncoder().encode(page) : page
  const reader = new PrometheusReader(names)
  for (let at = 0; at < bytes.length; at += pieceBytes) {
    reader.push(bytes.subarray(at, at + pieceBytes))
  }
  return Object.fromEntries(reader.end())
}

const long = 'x'.repeat(metricsPageLimits.lineBytesMax)

describe('of a page of figures', () => {
  for (const [what, page, sums] of [
    ['a value is taken', 'queue 3', { queue: 3 }],
    ['values of several series are added up', 'queue{q="a"} 3\nqueue{q="b"} 4.5\n', { queue: 7.5 }],
    ['other names are left alone', 'other 1\nqueues 2\nqueue_x 3\nqueue 4\n', { queue: 4 }],
    [
      'comments are skipped',
      '# HELP queue 9\n# TYPE queue gauge\n#queue 8\n# EOF\nqueue 1',
      { queue: 1 },
    ],
    ['blanks may be anywhere between', ' \tqueue\t{a="b"}  1 \t 1700000000000 \n\n', { queue: 1 }],
    ['labels may hold anything in quotes', 'queue{a="} 9 \\" {",b="\\\\",} 2', { queue: 2 }],
    ['labels may be none', 'queue{} 2', { queue: 2 }],
    [
      'a timestamp is not the value',
      'queue 2 1700000000000\na:b 1 1700000000.5',
      { queue: 2, 'a:b': 1 },
    ],
    [
      'an exemplar is not the value',
      'requests_total{a="b"} 17 # {trace="x"} 0.6 1.5',
      { requests_total: 17 },
    ],
    [
      'numbers come in every form',
      'queue +1\nqueue -2.5\nqueue .5\nqueue 1.\nqueue 1e2\nqueue 2E-1',
      { queue: 100.2 },
    ],
    [
      'NaN and infinite values count for nothing',
      'queue NaN\nqueue 2\nqueue +Inf\nqueue -inf\na:b NaN',
      { queue: 2 },
    ],
    ['a sum that is infinite is not told', 'queue 1e308\nqueue 1e308\na:b 1', { 'a:b': 1 }],
    ['a name of every object is one like others', 'constructor 4\n__proto__ 3', { constructor: 4 }],
    ['lines may end as on Windows', 'queue 1\r\na:b 2\r\n', { queue: 1, 'a:b': 2 }],
    ['nothing is taken from nothing', '', {}],
    ['nothing is taken from a web page', '<!doctype html>\n<p>queue 3</p>\n', {}],
    ['a name alone spoils nothing that has no value', 'queue\na:b 1', { 'a:b': 1 }],
  ] as [string, string, Record<string, number>][]) {
    it(what, () => {
      assert.deepEqual(read(page), sums)
      assert.deepEqual(read(page, 1), sums, 'byte by byte')
    })
  }

  for (const [what, line] of [
    ['has no value', 'queue{a="b"}'],
    ['has a value that is none', 'queue abc'],
    ['has a value in hexadecimal', 'queue 0x10'],
    ['has no value but an empty one', 'queue  '],
    ['has labels without an end', 'queue{a="b" 3'],
    ['has text without an end', 'queue{a="b} 3'],
    ['has a timestamp that is none', 'queue 3 yesterday'],
    ['has too much in it', 'queue 3 4 5'],
    ['is too long', `queue{a="${long}"} 3`],
  ] as const) {
    it(`a line that ${what} spoils its name, and no other`, () => {
      assert.deepEqual(read(`queue 1\n${line}\nqueue 2\na:b 1\n`), { 'a:b': 1 })
    })
  }

  it('a line of another name may be of any length', () => {
    const page = `other{a="${long}${long}"} 3\nqueue 2\n`
    assert.deepEqual(read(page), { queue: 2 })
    assert.deepEqual(read(page, 7), { queue: 2 })
  })

  it('more than its limit is refused', () => {
    const { bytesMax } = metricsPageLimits
    assert.deepEqual(read(`queue 1\n${'#'.repeat(bytesMax - 8)}`), { queue: 1 })
    assert.throws(() => read(`queue 1\n${'#'.repeat(bytesMax - 7)}`), {
      code: 'resource_exhausted',
    })
  })
})

const label = fc.record({
  name: fc.stringMatching(/^[a-z_][a-z0-9_]{0,5}$/),
  value: fc.string({ unit: 'binary', maxLength: 12 }),
})
const series = fc.record({
  name: fc.constantFrom(...names, 'other'),
  labels: fc.array(label, { maxLength: 3 }),
  value: fc.integer({ min: -1_000, max: 1_000 }),
  timestamp: fc.option(fc.nat()),
})

it('gives the sums of whatever is written by the rules, however it is cut', () => {
  const pages = fc.array(series, { maxLength: 20 })
  fc.assert(
    fc.property(pages, fc.integer({ min: 1, max: 64 }), (page, pieceBytes) => {
      const expected = new Map<string, number>()
      const lines = page.map(({ name, labels, value, timestamp }) => {
        if (names.includes(name)) expected.set(name, (expected.get(name) ?? 0) + value)
        const pairs = labels.map((one) => `${one.name}="${escaped(one.value)}"`)
        return `${name}{${pairs.join(',')}} ${value}${timestamp === null ? '' : ` ${timestamp}`}`
      })
      assert.deepEqual(read(lines.join('\n'), pieceBytes), Object.fromEntries(expected))
    }),
  )
})

it('neither fails nor hangs on whatever comes, and gives nothing but figures it was asked for', () => {
  const hostile = fc.oneof(
    fc.uint8Array({ maxLength: 3_000 }),
    fc
      .array(
        fc.oneof(
          fc.constantFrom(
            ...names,
            '{',
            '}',
            '"',
            '\\',
            ' ',
            '\t',
            '\n',
            '\r',
            '#',
            '1',
            '.',
            'e',
            '-',
            ',',
          ),
          fc.constantFrom('NaN', 'Inf', '\0', 'é', '{a="', '"} 1 # {'),
        ),
        { maxLength: 300 },
      )
      .map((parts) => new TextEncoder().encode(parts.join(''))),
  )
  fc.assert(
    fc.property(hostile, fc.integer({ min: 1, max: 500 }), (page, pieceBytes) => {
      for (const [name, value] of Object.entries(read(page, pieceBytes))) {
        assert.ok(names.includes(name))
        assert.ok(Number.isFinite(value))
      }
    }),
    { numRuns: 500 },
  )
})

it('takes a line at its limit in no time, whatever it is made of', () => {
  for (const filler of [' ', '1', '9.', '# ', '\\"', '1 ', '{']) {
    const line = `queue ${filler.repeat(metricsPageLimits.lineBytesMax / filler.length - 8)}x`
    const page = `${line}\n`.repeat(100)
    const startedMs = systemClock.monotonicMs()
    assert.deepEqual(read(page), {})
    assert.ok(systemClock.monotonicMs() - startedMs < 2_000, `a line of ${JSON.stringify(filler)}`)
  }
})

function escaped(text: string): string {
  return text.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n')
}
