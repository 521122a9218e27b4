import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import * as fc from 'fast-check'
import { endOfPrefix, problemWithKey, problemWithPrefix } from './rules.ts'

describe('the rules of keys', () => {
  it('take printable ASCII up to 1 KiB and nothing else', () => {
    for (const key of ['a', 'nodes/node-abc', '~', '!', 'k'.repeat(1024)]) {
      assert.equal(problemWithKey(key), undefined, key)
      assert.equal(problemWithPrefix(key), undefined, key)
    }
    for (const key of ['', ' ', 'a b', 'ü', 'a\n', '\x7f', 'k'.repeat(1025)]) {
      assert.notEqual(problemWithKey(key), undefined, key)
    }
    assert.equal(problemWithPrefix(''), undefined)
  })

  it('put the end of a prefix after every key that starts with it and before every other one', () => {
    const text = fc.stringMatching(/^[\x21-\x7e]{1,6}$/)
    fc.assert(
      fc.property(text, text, (prefix, key) => {
        const inside = key >= prefix && key < endOfPrefix(prefix)
        assert.equal(inside, key.startsWith(prefix))
        assert.ok(prefix + key < endOfPrefix(prefix))
      }),
    )
  })
})
