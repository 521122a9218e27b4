import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import * as base from './errors.ts'

const { CloudlessError } = base

describe('errors', () => {
  it('leave a boundary as they came when nothing is added', () => {
    const error = new CloudlessError('conflict', 'x', { details: { n: 1 } })
    assert.equal(CloudlessError.from(error), error)
  })

  it('keep code, facts and cause when context is added', () => {
    const error = new CloudlessError('conflict', 'changed meanwhile', { details: { n: 1 } })
    const told = CloudlessError.from(error, 'scaling web')
    assert.equal(told.message, 'scaling web: changed meanwhile')
    assert.equal(told.code, 'conflict')
    assert.deepEqual(told.details, { n: 1 })
    assert.equal(told.cause, error)
  })

  const systemCases: readonly (readonly [unknown, base.ErrorCode])[] = [
    [Object.assign(new Error('x'), { code: 'ENOSPC' }), 'resource_exhausted'],
    [Object.assign(new Error('x'), { code: 'ENOENT' }), 'not_found'],
    [Object.assign(new Error('x'), { code: 'ECONNREFUSED' }), 'unavailable'],
    [Object.assign(new Error('x'), { code: 'ESOMETHING' }), 'internal'],
    [Object.assign(new Error('x'), { code: 5 }), 'internal'],
    [AbortSignal.abort().reason, 'cancelled'],
    [new DOMException('x', 'TimeoutError'), 'deadline_exceeded'],
    [new TypeError('x'), 'internal'],
    ['text', 'internal'],
    [undefined, 'internal'],
  ]
  for (const [reason, code] of systemCases) {
    it(`give ${String(reason)} (${base.systemCodeOf(reason)}) the code ${code}`, () =>
      assert.equal(CloudlessError.from(reason).code, code))
  }

  it('say for every code whether a retry can help', () => {
    const retryable = base.errorCodes.filter((code) => new CloudlessError(code, 'x').retryable)
    assert.deepEqual(retryable, [
      'conflict',
      'resource_exhausted',
      'unavailable',
      'deadline_exceeded',
    ])
  })

  it('tell our bugs from the world', () => {
    base.assert(true, 'fine')
    assert.throws(() => base.assert(false, 'broken'), base.AssertionFailure)
    assert.throws(() => base.assertNever('x' as never), /unexpected value: "x"/)
    assert.equal(base.messageOf('text'), 'text')
  })
})
