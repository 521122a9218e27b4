import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ByteReader } from './byte-reader.ts'

async function* chunksOf(...texts: string[]): AsyncGenerator<Uint8Array> {
  for (const text of texts) yield Buffer.from(text)
}

test('gives as many bytes as are asked for, wherever the chunks end', async () => {
  const reader = new ByteReader(chunksOf('ab', '', 'cdefg', 'h'))
  assert.equal(String(await reader.peek(3)), 'abc')
  assert.equal(String(await reader.take(1)), 'a')
  assert.equal(String(await reader.take(4)), 'bcde')
  assert.equal(String(await reader.takeSome()), 'fg')
  assert.equal(await reader.take(2), undefined)
  assert.equal(String(await reader.take(1)), 'h')
  assert.equal(String(await reader.take(0)), '')
  assert.equal(await reader.takeSome(), undefined)
})

test('ends its source when it is closed early', async () => {
  let ended = false
  const source = (async function* () {
    try {
      yield Buffer.from('abc')
      yield Buffer.from('def')
    } finally {
      ended = true
    }
  })()
  const reader = new ByteReader(source)
  await reader.take(1)
  await reader.close()
  assert.ok(ended)
})
