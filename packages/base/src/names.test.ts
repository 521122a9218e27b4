import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { problemWithLabel, problemWithSubdomain } from './names.ts'

describe('names', () => {
  const both = ['a', 'a1', '1a', 'web-server', 'a'.repeat(63)]
  const neither = ['', '-a', 'a-', 'A', 'a_b', 'ä', 'a b', 'a\n', '.', 'a..b', '.a', 'a.']
  const onlySubdomain = ['a.b', 'node-1.zone-a.example', 'a'.repeat(64), `${'a'.repeat(63)}.b`]

  it('of one label are taken as labels and as subdomains', () => {
    for (const name of both) {
      assert.equal(problemWithLabel(name), undefined, name)
      assert.equal(problemWithSubdomain(name), undefined, name)
    }
  })

  it('of several labels are subdomains only', () => {
    for (const name of onlySubdomain) {
      assert.notEqual(problemWithLabel(name), undefined, name)
      assert.equal(problemWithSubdomain(name), undefined, name)
    }
  })

  it('that break the rules are refused with the rule', () => {
    for (const name of neither) {
      assert.match(problemWithLabel(name)!, /^must /, name)
      assert.match(problemWithSubdomain(name)!, /^must /, name)
    }
    assert.match(problemWithLabel('a'.repeat(64))!, /at most 63/)
    assert.match(problemWithSubdomain(`a.${'a'.repeat(252)}`)!, /at most 253/)
  })
})
