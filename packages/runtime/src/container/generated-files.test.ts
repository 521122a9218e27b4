import assert from 'node:assert/strict'
import { test } from 'node:test'
import { hostsText, nameServersIn, resolvConfText } from './generated-files.ts'

test('gives containers name servers that they can reach', () => {
  const text =
    'search x\nnameserver 127.0.0.53\n nameserver 10.0.0.1\n#nameserver 9.9.9.9\nnameserver ::1\n'
  assert.deepEqual(nameServersIn(text), ['10.0.0.1'])
  assert.equal(resolvConfText(['10.0.0.1'], ['a', 'b']), 'search a b\nnameserver 10.0.0.1\n')
  assert.match(hostsText('web-1', '10.1.1.2'), /^10\.1\.1\.2\tweb-1$/m)
  assert.doesNotMatch(hostsText('web-1', ''), /web-1/)
})
