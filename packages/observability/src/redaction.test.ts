import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { CloudlessError } from '@cloudless/base'
import * as fc from 'fast-check'
import { isSecretName, redact, redactText } from './redaction.ts'

const token = 'eyJhbGciOiJIUzI1NiJ9.eyJ0b2tlbl9pZCI6IngifQ.c2lnbmF0dXJlc2lnbmF0dXJl'
const pem = '-----BEGIN EC PRIVATE KEY-----\nMHcCAQEEIsecretsecret\n-----END EC PRIVATE KEY-----'

describe('redaction', () => {
  it('masks what is named like a secret, at any depth, whatever it holds', () => {
    for (const name of [
      'token',
      'joinToken',
      'join_token',
      'PASSWORD',
      'private-key',
      'Authorization',
      'registry.password',
    ]) {
      assert.ok(isSecretName(name), name)
      const shown = JSON.stringify(redact({ deep: [{ [name]: { value: 'hidden' } }] }))
      assert.doesNotMatch(shown, /hidden/)
    }
    for (const name of ['tokenId', 'name', 'key', 'publicKey', 'secretName']) {
      assert.equal(isSecretName(name), false, name)
    }
  })

  it('masks tokens and private keys wherever they stand', () => {
    const texts = [
      `joined with ${token}!`,
      `authorization: Bearer abcdef0123456789`,
      `key:\n${pem}\nend`,
      pem.slice(0, 60),
      'pulling https://user:hunter22@registry.example/v2',
    ]
    for (const text of texts) {
      const shown = redactText(text)
      assert.match(shown, /\[redacted\]/, text)
      assert.doesNotMatch(shown, /c2lnbm|abcdef01|MHcCAQ|hunter22/)
    }
  })

  it('masks them in any place of any value', () => {
    fc.assert(
      fc.property(fc.object({ maxDepth: 3 }), fc.string(), (value, name) => {
        const planted = { ...value, [`${name}x`]: [{ error: new Error(`no: ${token}`) }], pem }
        assert.doesNotMatch(JSON.stringify(redact(planted)), /c2lnbmF0|MHcCAQ/)
      }),
    )
  })

  it('keeps code, facts and causes of errors, and the stack only of bugs', () => {
    const cause = new TypeError('bug')
    const shown = redact(
      new CloudlessError('not_found', 'no node', { details: { id: 'a' }, cause }),
    ) as Record<string, Record<string, unknown>>
    assert.deepEqual(shown['details'], { id: 'a' })
    assert.equal(shown['stack'], undefined)
    assert.equal(shown['cause']?.['message'], 'bug')
    assert.match(String(shown['cause']?.['stack']), /redaction.test/)
  })

  it('is bounded for circles, depth, length and number', () => {
    const circle: Record<string, unknown> = {
      text: 'x'.repeat(100_000),
      items: Array.from({ length: 10_000 }, () => 1),
    }
    circle['self'] = circle
    assert.ok(JSON.stringify(redact(circle)).length < 80_000)
    assert.equal(redact(new Uint8Array(5)), '[5 bytes]')
    assert.equal(redact(12n), '12')
  })
})
