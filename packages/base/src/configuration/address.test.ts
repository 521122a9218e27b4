import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { formatAddress, parseAddress } from './address.ts'

for (const [text, expected] of [
  ['127.0.0.1:8080', { host: '127.0.0.1', port: 8080 }],
  [':8080', { host: '', port: 8080 }],
  ['[::1]:80', { host: '::1', port: 80 }],
  ['host.example:0', { host: 'host.example', port: 0 }],
  ['::1:80', undefined],
  ['host', undefined],
  ['host:', undefined],
  ['host:70000', undefined],
  ['', undefined],
] as const) {
  test(`reads the address "${text}"`, () => assert.deepEqual(parseAddress(text), expected))
}

test('what is written is read again', () => {
  const host = fc.oneof(fc.ipV4(), fc.ipV6(), fc.domain())
  fc.assert(
    fc.property(host, fc.integer({ min: 0, max: 65_535 }), (host, port) => {
      assert.deepEqual(parseAddress(formatAddress({ host, port })), { host, port })
    }),
  )
})
