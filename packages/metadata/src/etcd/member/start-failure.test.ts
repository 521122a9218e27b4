import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { explainFailedStart } from './start-failure.ts'

describe('a start of etcd that failed', () => {
  const bind = 'listen tcp 127.0.0.1:2379: bind: address already in use'
  for (const [lines, wasRemoved, code, message] of [
    [[bind], false, 'failed_precondition', /127\.0\.0\.1:2379 is in use by another program/],
    [['server error'], true, 'failed_precondition', /was removed from its cluster.*join anew/],
    [['a', 'b', 'c', 'd'], false, 'unavailable', /it exited with code 1; it last said:\n {2}b/],
  ] as const) {
    it(`is ${code} after ${JSON.stringify(lines)}`, () => {
      const error = explainFailedStart('it exited with code 1', { lines, wasRemoved }, '/data')
      assert.equal(error.code, code)
      assert.match(error.message, message)
      assert.match(error.message, /starting etcd on \/data/)
      assert.equal(error.details['output'], lines.join('\n'))
    })
  }
})
