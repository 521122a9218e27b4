import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { formatSpiffeId, identityTypes, parseSpiffeId } from './spiffe-id.ts'

test('reads back what it wrote', () => {
  fc.assert(
    fc.property(
      fc.constantFrom('cloudless', 'a.example', 'x-1'),
      fc.constantFrom(...identityTypes),
      fc.stringMatching(/^[A-Za-z0-9_-]{1,60}$/),
      (trustDomain, type, id) => {
        const parsed = parseSpiffeId(formatSpiffeId({ trustDomain, type, id }))
        assert.deepEqual(parsed, { trustDomain, type, id })
      },
    ),
  )
})

for (const text of [
  '',
  'spiffe://cloudless',
  'spiffe://cloudless/node',
  'spiffe://cloudless/node/',
  'spiffe://cloudless/node/a/b',
  'spiffe://cloudless/node/a/',
  'spiffe://cloudless//a',
  'spiffe:///node/a',
  'spiffe://Cloudless/node/a',
  'spiffe://cloudless:443/node/a',
  'spiffe://cloudless/NODE/a',
  'spiffe://cloudless/admin/a',
  'spiffe://cloudless/constructor/a',
  'spiffe://cloudless/node/..',
  'spiffe://cloudless/node/.',
  'spiffe://cloudless/node/a?b',
  'spiffe://cloudless/node/a#b',
  'spiffe://cloudless/node/a%2fb',
  'spiffe://cloudless/node/a\n',
  ' spiffe://cloudless/node/a',
  'SPIFFE://cloudless/node/a',
  'https://cloudless/node/a',
  `spiffe://cloudless/node/${'a'.repeat(254)}`,
]) {
  test(`refuses ${JSON.stringify(text.slice(0, 50))}`, () => {
    assert.equal(parseSpiffeId(text), undefined)
  })
}

test('does not write an id that cannot be read', () => {
  assert.throws(() => formatSpiffeId({ trustDomain: 'cloudless', type: 'node', id: 'a/b' }), {
    name: 'AssertionFailure',
  })
})
