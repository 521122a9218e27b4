/** For tests: stores with anything in them, and dumps as bytes. */
import * as fc from 'fast-check'
import type { MetadataStore } from '../store.ts'

const key = fc.stringMatching(/^[a-c]{1,3}(\/[!-~]{1,12})?$/)

/** What a store may hold; keys that begin alike, values of all kinds of bytes. */
export const storedEntries: fc.Arbitrary<ReadonlyMap<string, Uint8Array>> = fc
  .array(fc.tuple(key, fc.uint8Array({ maxLength: 300 })), { maxLength: 60 })
  .map((pairs) => new Map(pairs))

export async function contentOf(store: MetadataStore): Promise<ReadonlyMap<string, string>> {
  const { entries } = await store.list('')
  return new Map(entries.map(({ key: at, value }) => [at, Buffer.from(value).toString('hex')]))
}

export async function collected(chunks: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const parts: Uint8Array[] = []
  for await (const chunk of chunks) parts.push(chunk)
  return Buffer.concat(parts)
}

export async function* chunked(bytes: Uint8Array, size: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size)
}
