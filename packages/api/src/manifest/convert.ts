/**
 * Between a manifest's values and messages, both ways, driven by the proto's descriptors: a field added to the contract
 * (and to the schema) needs nothing here.
 *
 *     manifest             message
 *     backoff: 30s         backoffMs: 30000n        fields ending in _ms are durations without the ending
 *     memory_bytes: 1Gi    memoryBytes: 1073741824n _bytes and _bps are sizes
 *     policy: ON_FAILURE   policy: 2                enums lose their prefix
 *     cpu, memory, storage                          short for cpu_millicores, memory_bytes, storage_bytes
 */
import {
  create,
  ScalarType,
  type DescEnum,
  type DescField,
  type DescMessage,
  type Message,
} from '@bufbuild/protobuf'
import { reflect, type ReflectMessage } from '@bufbuild/protobuf/reflect'
import { assert, parseBytes, parseDurationMs } from '@cloudless/base'
import { formatCount, formatExactDuration, formatExactSize } from './exact-units.ts'

const shortNames: Readonly<Record<string, string>> = {
  cpu: 'cpu_millicores',
  memory: 'memory_bytes',
  storage: 'storage_bytes',
}

/** The manifest's key of a field: its name, durations without their "_ms". */
export function manifestKeyOf(field: { readonly name: string }): string {
  return field.name.endsWith('_ms') ? field.name.slice(0, -'_ms'.length) : field.name
}

/** A message of values that the schema has accepted. */
export function messageFrom(desc: DescMessage, values: unknown): Message {
  const message = reflect(desc, create(desc))
  const entries = new Map(Object.entries(values as object))
  for (const [short, name] of Object.entries(shortNames)) {
    const value = entries.get(short)
    if (value === undefined || entries.has(name)) continue
    entries.set(name, short === 'cpu' ? millicoresOf(value) : value)
  }
  for (const field of desc.fields) {
    const value = entries.get(manifestKeyOf(field))
    if (value !== undefined) setField(message, field, value)
  }
  return message.message
}

function setField(message: ReflectMessage, field: DescField, value: unknown): void {
  switch (field.fieldKind) {
    case 'message':
      return message.set(field, reflect(field.message, messageFrom(field.message, value)))
    case 'enum':
      return message.set(field, enumNumberOf(field.enum, String(value)))
    case 'list': {
      const list = message.get(field)
      for (const item of value as unknown[]) {
        if (field.listKind === 'message') {
          list.add(reflect(field.message, messageFrom(field.message, item)))
        } else {
          assert(field.listKind === 'scalar', `no manifest has lists like ${field.name}`)
          list.add(scalarFrom(field.name, field.scalar, item))
        }
      }
      return
    }
    case 'map': {
      const map = message.get(field)
      for (const [key, text] of Object.entries(value as object)) map.set(key, text)
      return
    }
    case 'scalar':
      message.set(field, scalarFrom(field.name, field.scalar, value))
  }
}

function scalarFrom(name: string, scalar: ScalarType, value: unknown): unknown {
  const plain = typeof value === 'string' ? numberFromText(name, value) : value
  return scalar === ScalarType.INT64 ? int64From(Number(plain)) : plain
}

/** What is too large for a number is too large for every rule: it is cut, and validateWorkload refuses it. */
function int64From(value: number): bigint {
  return BigInt(Math.min(Math.round(value), Number.MAX_SAFE_INTEGER))
}

/** Text of fields that hold numbers; the schema has seen that it can be read. */
function numberFromText(name: string, text: string): string | number {
  if (name.endsWith('_ms')) return parseDurationMs(text)!
  if (name.endsWith('_bytes') || name.endsWith('_bps')) return parseBytes(text)!
  if (name === 'cpu_millicores') return millicoresOfText(text)
  if (name === 'mode') return Number.parseInt(text.replace('o', ''), 8)
  return text
}

/** `cpu: 0.5` and "0.5" are cores, "500m" thousandths. */
function millicoresOf(cpu: unknown): number {
  if (typeof cpu === 'string' && cpu.endsWith('m')) return millicoresOfText(cpu)
  return Math.round(Number(cpu) * 1_000)
}

function millicoresOfText(text: string): number {
  return Number(text.replace('m', ''))
}

function enumNumberOf(desc: DescEnum, text: string): number {
  const found = desc.values.find(
    (value) => plainName(enumTextOf(desc, value.number)) === plainName(text),
  )
  assert(found !== undefined, `the schema lets ${text} pass, which ${desc.typeName} does not have`)
  return found.number
}

function plainName(text: string): string {
  return text.replaceAll('_', '').toLowerCase()
}

/** RESTART_POLICY_KIND_ALWAYS as ALWAYS. */
function enumTextOf(desc: DescEnum, number: number): string {
  const name = desc.value[number]?.name ?? String(number)
  const prefix = desc.name.replaceAll(/(?<=[a-z])(?=[A-Z])/g, '_').toUpperCase()
  return name.startsWith(`${prefix}_`) ? name.slice(prefix.length + 1) : name
}

/** The values of a message, without what is unset. */
export function valuesOf(desc: DescMessage, message: Message): Record<string, unknown> {
  const reflected = reflect(desc, message)
  const values: [string, unknown][] = []
  for (const field of desc.fields) {
    if (reflected.isSet(field)) values.push([manifestKeyOf(field), valueOf(reflected, field)])
  }
  return Object.fromEntries(values)
}

function valueOf(message: ReflectMessage, field: DescField): unknown {
  switch (field.fieldKind) {
    case 'message':
      return valuesOf(field.message, message.get(field).message)
    case 'enum':
      return enumTextOf(field.enum, message.get(field))
    case 'list': {
      const items = [...message.get(field)]
      return field.listKind === 'message'
        ? items.map((item) => valuesOf(field.message, (item as ReflectMessage).message))
        : items.map((item) => (typeof item === 'bigint' ? Number(item) : item))
    }
    case 'map':
      return Object.fromEntries([...message.get(field)].map(([key, text]) => [String(key), text]))
    case 'scalar':
      return plainScalarOf(field.name, message.get(field))
  }
}

function plainScalarOf(name: string, value: unknown): unknown {
  if (name === 'mode') return `0${Number(value).toString(8).padStart(3, '0')}`
  if (typeof value !== 'bigint') return value
  const number = Number(value)
  if (name.endsWith('_ms')) return formatExactDuration(number)
  if (name.endsWith('_bytes')) return formatExactSize(number)
  if (name.endsWith('_bps')) return formatCount(number)
  return number
}
