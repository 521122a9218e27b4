/** Text made to break the reader: it answers with problems, soon, and never throws. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import * as fc from 'fast-check'
import { stringify } from 'yaml'
import { parseManifests } from './parse-manifests.ts'

/** Generous for a loaded machine; what is quadratic takes minutes. */
const timeMsMax = 20_000

const head = 'apiVersion: cloudless/v1\nkind: Workload\nmetadata: {name: a}\n'
const laughs = Array.from(
  { length: 9 },
  (_, n) => `  k${n + 1}: &a${n + 1} [${Array(9).fill(`*a${n}`).join(', ')}]\n`,
).join('')

describe('hostile text', () => {
  for (const [what, text] of [
    ['half a million open brackets', '['.repeat(500_000)],
    ['brackets in quotation marks', `${head}spec: {image: "${'['.repeat(5_000)}"}`],
    ['nested lists without brackets', '- '.repeat(200_000)],
    ['nested keys without brackets', '? '.repeat(200_000)],
    ['anchors on anchors', '&a '.repeat(100_000)],
    ['tags on tags', '!a '.repeat(100_000)],
    ['unknown tags', `${head}spec: !!js/function "x"`],
    ['100,000 documents', '---\n'.repeat(100_000)],
    ['50,000 keys', Array.from({ length: 50_000 }, (_, n) => `k${n}: 1`).join('\n')],
    ['50,000 times the same key', 'k: 1\n'.repeat(50_000)],
    ['aliases of aliases', `${head}spec:\n  k0: &a0 [x, x]\n${laughs}  args: *a9\n`],
    ['keys of prototypes', `${head}spec: {image: a, __proto__: {}, constructor: {}}`],
    ['a map as a key', `${head}spec: {image: a, {a: b}: c}`],
    ['more than 8 MiB', 'x'.repeat(9_000_000)],
  ] as const) {
    it(`is refused: ${what}`, { timeout: timeMsMax }, () => {
      assert.equal(parseManifests(text).kind, 'invalid')
    })
  }

  it('in maps of texts is only text', () => {
    const env = '{__proto__: a, constructor: b, toString: c}'
    const parsed = parseManifests(`${head}spec: {image: a, env: ${env}}`)
    assert.equal(({} as Record<string, unknown>)['a'], undefined)
    assert.equal(parsed.kind, 'ok')
  })

  it('of any kind is answered', { timeout: 2 * timeMsMax }, () => {
    const key = fc.constantFrom(
      'spec',
      'image',
      'ports',
      'env',
      'metadata',
      'name',
      'replicas',
      'x',
    )
    const { tree } = fc.letrec((tie) => ({
      tree: fc.oneof({ maxDepth: 5 }, leaf, tie('list'), tie('map')),
      list: fc.array(tie('tree'), { maxLength: 4 }),
      map: fc.dictionary(key, tie('tree'), { maxKeys: 5, noNullPrototype: true }),
    }))
    const valid = fc.record({
      apiVersion: fc.constant('cloudless/v1'),
      kind: fc.constant('Workload'),
      metadata: fc.oneof(fc.constant({ name: 'a' }), tree),
      spec: tree,
    })
    const pieces = fc.constantFrom(
      head,
      'spec:\n',
      '  image: a\n',
      '- ',
      '? ',
      '&a ',
      '*a',
      '{',
      '}',
      '"',
      '\n',
      '|',
      '>',
    )
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string({ unit: 'binary', maxLength: 200 }),
          fc.array(pieces, { maxLength: 30 }).map((list) => list.join('')),
          valid.map((value) => stringify(value)),
          valid.map((value) => JSON.stringify(value)),
        ),
        (text) => {
          const parsed = parseManifests(text)
          if (parsed.kind === 'ok') return
          assert.ok(parsed.problems.length > 0)
          for (const { line, column } of parsed.problems) assert.ok(line >= 1 && column >= 1)
        },
      ),
      { numRuns: 500 },
    )
  })
})

const leaf = fc.oneof(fc.string(), fc.double(), fc.integer(), fc.boolean(), fc.constant(null))
