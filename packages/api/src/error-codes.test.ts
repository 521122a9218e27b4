import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { CloudlessError, errorCodes } from '@cloudless/base'
import { Code, ConnectError } from '@connectrpc/connect'
import * as fc from 'fast-check'
import { fromConnectError, toConnectError } from './error-codes.ts'

describe('errors across the wire', () => {
  it('brings back every code, message and fact as it was thrown', () => {
    const text = fc.string({ maxLength: 100 })
    const facts = fc.dictionary(
      fc.stringMatching(/^[a-z][a-zA-Z]{0,10}$/),
      fc.oneof(text, fc.integer()),
      { maxKeys: 8, noNullPrototype: true },
    )
    fc.assert(
      fc.property(fc.constantFrom(...errorCodes), text, facts, (code, message, details) => {
        const back = fromConnectError(
          toConnectError(new CloudlessError(code, message, { details })),
        )
        assert.equal(back.code, code)
        assert.equal(back.message, message)
        assert.deepEqual(back.details, details)
      }),
    )
  })

  it('gives each code the status of its meaning, and never Unknown', () => {
    const statusOf = (code: (typeof errorCodes)[number]) =>
      toConnectError(new CloudlessError(code, 'x')).code
    assert.equal(statusOf('conflict'), Code.Aborted)
    assert.equal(statusOf('cancelled'), Code.Canceled)
    assert.equal(statusOf('corrupt_data'), Code.DataLoss)
    for (const code of errorCodes) assert.notEqual(statusOf(code), Code.Unknown)
    for (const reason of [new TypeError('x'), 'text', undefined, new ConnectError('x')]) {
      assert.equal(toConnectError(reason).code, Code.Internal)
    }
  })

  it('keeps the meaning of the system error inside', () => {
    const refused = Object.assign(new Error('connect'), { code: 'ECONNREFUSED' })
    assert.equal(toConnectError(refused).code, Code.Unavailable)
    const wrapped = new ConnectError('x', Code.Unknown, undefined, undefined, refused)
    assert.equal(toConnectError(wrapped).code, Code.Unavailable)
  })

  it('understands the statuses of servers that are not ours', () => {
    const codeOf = (status: Code) => fromConnectError(new ConnectError('x', status)).code
    assert.equal(codeOf(Code.Aborted), 'conflict')
    assert.equal(codeOf(Code.OutOfRange), 'invalid_argument')
    assert.equal(codeOf(Code.Unknown), 'internal')
    assert.equal(codeOf(Code.Unavailable), 'unavailable')
  })

  it('shortens a message that would not fit in the headers', () => {
    const error = toConnectError(new CloudlessError('invalid_argument', 'x'.repeat(100_000)))
    assert.equal(error.rawMessage.length, 3_000)
  })

  it('says in whose course it happened', () => {
    const error = fromConnectError(new ConnectError('no', Code.NotFound), 'get node a')
    assert.equal(error.message, 'get node a: no')
  })
})
