import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { encodeEnvelope, EnvelopeReader } from './envelopes.ts'

const envelopes = fc.array(
  fc.record({
    flags: fc.integer({ min: 0, max: 255 }),
    content: fc.uint8Array({ maxLength: 300 }),
  }),
  { maxLength: 8 },
)

test('envelopes are read as they were written, however the bytes are cut', () => {
  fc.assert(
    fc.property(envelopes, fc.infiniteStream(fc.integer({ min: 1, max: 40 })), (written, cuts) => {
      const bytes = Buffer.concat(
        written.map(({ flags, content }) => encodeEnvelope(flags, content)),
      )
      const reader = new EnvelopeReader(300)
      const read = []
      for (let at = 0; at < bytes.byteLength;) {
        const { value: length } = cuts.next() as { value: number }
        read.push(...reader.read(bytes.subarray(at, at + length)))
        at += length
      }
      assert.equal(reader.isWithin, false)
      assert.deepEqual(
        read.map(({ flags, content }) => ({ flags, content: [...content] })),
        written.map(({ flags, content }) => ({ flags, content: [...content] })),
      )
    }),
  )
})

test('a part of one is known to be a part', () => {
  const reader = new EnvelopeReader(10)
  const bytes = encodeEnvelope(0, Buffer.from('four'))
  assert.deepEqual([...reader.read(bytes.subarray(0, 7))], [])
  assert.equal(reader.isWithin, true)
  assert.equal([...reader.read(bytes.subarray(7))].length, 1)
  assert.equal(reader.isWithin, false)
})

test('one that is too large is refused before it is read', () => {
  const reader = new EnvelopeReader(10)
  const header = encodeEnvelope(0, Buffer.alloc(11)).subarray(0, 5)
  assert.throws(() => [...reader.read(header)], { code: 'resource_exhausted', message: /11 bytes/ })
})
