/**
 * Writing ASN.1 in its distinguished encoding (X.690), as far as our certificates need it: a value is its tag, its length
 * and its content, and what is made of others is their bytes in a row.
 *
 * What strangers send is read by a library; here is only cut out of it what that has understood.
 */

type Der = Buffer<ArrayBuffer>

const tags = {
  boolean: 0x01,
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  objectIdentifier: 0x06,
  utf8String: 0x0c,
  utcTime: 0x17,
  generalizedTime: 0x18,
  sequence: 0x30,
  set: 0x31,
} as const

const contextSpecific = 0x80
const constructed = 0x20

function encode(tag: number, content: Uint8Array): Der {
  const { byteLength } = content
  if (byteLength < 0x80) return Buffer.concat([Buffer.of(tag, byteLength), content])
  const length: number[] = []
  for (let rest = byteLength; rest > 0; rest >>>= 8) length.unshift(rest & 0xff)
  return Buffer.concat([Buffer.of(tag, 0x80 | length.length, ...length), content])
}

export function sequence(...elements: readonly Uint8Array[]): Der {
  return encode(tags.sequence, Buffer.concat(elements))
}

export function setOf(element: Uint8Array): Der {
  return encode(tags.set, element)
}

export function boolean(value: boolean): Der {
  return encode(tags.boolean, Buffer.of(value ? 0xff : 0))
}

/** Big-endian, not negative and without zeros in front. */
export function integer(magnitude: Uint8Array): Der {
  const isNegative = (magnitude[0] ?? 0) >= 0x80
  return encode(tags.integer, isNegative ? Buffer.concat([Buffer.of(0), magnitude]) : magnitude)
}

/** `unusedBits`: of the last byte. */
export function bitString(bytes: Uint8Array, unusedBits = 0): Der {
  return encode(tags.bitString, Buffer.concat([Buffer.of(unusedBits), bytes]))
}

export function octetString(bytes: Uint8Array): Der {
  return encode(tags.octetString, bytes)
}

export function utf8String(text: string): Der {
  return encode(tags.utf8String, Buffer.from(text))
}

/** Dotted, such as "2.5.29.15". */
export function objectIdentifier(dotted: string): Der {
  const [first = 0, second = 0, ...rest] = dotted.split('.').map(Number)
  const bytes = [first * 40 + second, ...rest].flatMap(inBase128)
  return encode(tags.objectIdentifier, Buffer.from(bytes))
}

function inBase128(value: number): number[] {
  const bytes = [value & 0x7f]
  for (let rest = value >>> 7; rest > 0; rest >>>= 7) bytes.unshift(0x80 | (rest & 0x7f))
  return bytes
}

/** Whole seconds, UTC; as RFC 5280 (4.1.2.5) wants it: two digits for the years from 1950 to 2049, four for others. */
export function time(unixMs: number): Der {
  const digits = new Date(unixMs).toISOString().replaceAll(/[-:T]|\..*/g, '')
  const year = Number(digits.slice(0, 4))
  if (year >= 1950 && year < 2050) return encode(tags.utcTime, Buffer.from(`${digits.slice(2)}Z`))
  return encode(tags.generalizedTime, Buffer.from(`${digits}Z`))
}

/** With a tag that only its place gives a meaning, in place of the type's own. */
export function implicit(tag: number, content: Uint8Array): Der {
  return encode(contextSpecific | tag, content)
}

/** With such a tag around it. */
export function explicit(tag: number, element: Uint8Array): Der {
  return encode(contextSpecific | constructed | tag, element)
}

/** The elements of a sequence that is known to be well-formed, each with its tag and length. */
export function elementsOf(der: Uint8Array): Uint8Array[] {
  const elements: Uint8Array[] = []
  const end = sizeOf(der, 0)
  for (let at = headerSizeOf(der, 0); at < end; at += elements.at(-1)!.byteLength) {
    elements.push(der.subarray(at, at + sizeOf(der, at)))
  }
  return elements
}

function headerSizeOf(der: Uint8Array, at: number): number {
  const length = der[at + 1]!
  return length < 0x80 ? 2 : 2 + (length & 0x7f)
}

function sizeOf(der: Uint8Array, at: number): number {
  const length = der[at + 1]!
  if (length < 0x80) return 2 + length
  let content = 0
  for (let n = 0; n < (length & 0x7f); n++) content = content * 256 + der[at + 2 + n]!
  return headerSizeOf(der, at) + content
}
