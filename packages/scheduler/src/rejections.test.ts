import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { RejectionCodes } from './rejections.ts'

describe('a reason', () => {
  const kept = (reason: string): string => {
    const codes = new RejectionCodes()
    return codes.rejectionOf(codes.codeOf('policy', reason)).reason
  }
  for (const { what, reason, said } of [
    { what: 'of a few words', reason: 'not enough CPU', said: 'not enough CPU' },
    { what: 'of 180 bytes', reason: 'x'.repeat(180), said: 'x'.repeat(180) },
    { what: 'of a byte more', reason: 'x'.repeat(181), said: `${'x'.repeat(180)}…` },
    { what: 'in another script', reason: 'ü'.repeat(90), said: 'ü'.repeat(90) },
    { what: 'in another script, longer', reason: 'ü'.repeat(91), said: `${'ü'.repeat(90)}…` },
    { what: 'of pictures', reason: '🛰'.repeat(50), said: `${'🛰'.repeat(45)}…` },
  ]) {
    it(`${what} is said ${said.endsWith('…') ? 'as far as there is room' : 'in full'}`, () => {
      assert.equal(kept(reason), said)
    })
  }

  it('that begins like another and is too long is the same one', () => {
    const codes = new RejectionCodes()
    const long = 'y'.repeat(1_000)
    assert.equal(codes.codeOf('policy', `${long}a`), codes.codeOf('policy', `${long}b`))
    assert.notEqual(codes.codeOf('policy', long), codes.codeOf('taints', long))
  })
})
