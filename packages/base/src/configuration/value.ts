/** One setting's value, from the text of a flag or variable or from what a file holds. */
import { parseBytes } from '../bytes.ts'
import { formatDurationMsExactly, parseDurationMs } from '../duration.ts'
import { parseAddress } from './address.ts'
import type { Setting, SettingType } from './setting.ts'

export type ParsedValue =
  | { readonly kind: 'ok'; readonly value: unknown }
  | { readonly kind: 'problem'; readonly problem: string }

/** Never throws, and never repeats the value of a secret. */
export function parseValue(setting: Setting, given: unknown): ParsedValue {
  const parsed = parsers[setting.type](given)
  if (parsed === undefined) return problem(setting, given, `is not ${article[setting.type]}`)
  const { choices, min, max } = setting
  if (choices !== undefined && !listed(parsed).every((one) => choices.includes(one))) {
    return problem(setting, given, `is none of ${choices.join(', ')}`)
  }
  if (typeof parsed === 'number') {
    if (min !== undefined && parsed < min) {
      return problem(setting, given, `is below ${limitText(setting, min)}`)
    }
    if (max !== undefined && parsed > max) {
      return problem(setting, given, `is above ${limitText(setting, max)}`)
    }
  }
  return { kind: 'ok', value: parsed }
}

function problem(setting: Setting, given: unknown, text: string): ParsedValue {
  const shown = setting.secret === true ? 'its value' : shortened(JSON.stringify(given) ?? '')
  return { kind: 'problem', problem: `${shown} ${text}` }
}

function shortened(text: string): string {
  return text.length > 80 ? `${text.slice(0, 79)}…` : text
}

function listed(value: unknown): readonly string[] {
  return Array.isArray(value) ? (value as string[]) : [String(value)]
}

function limitText({ type }: Setting, limit: number): string {
  return type === 'duration' ? formatDurationMsExactly(limit) : String(limit)
}

const article: Readonly<Record<SettingType, string>> = {
  string: 'text',
  int: 'a whole number',
  number: 'a number',
  bool: 'true or false',
  duration: 'a duration like 300ms, 30s, 5m or 24h',
  bytes: 'a size like 512Mi or 2Gi',
  address: 'an address like 0.0.0.0:8080 or [::1]:8080',
  list: 'a list',
  map: 'a list of key=value',
}

/** Undefined: not of the type. */
const parsers: Readonly<Record<SettingType, (given: unknown) => unknown>> = {
  string: textOf,
  int: (given) => numberOf(given, /^-?\d{1,15}$/),
  number: (given) => numberOf(given, /^-?\d{1,15}(\.\d{1,15})?$/),
  bool: (given) => boolByText.get(String(given).toLowerCase()),
  duration: (given) => (typeof given === 'string' ? parseDurationMs(given) : undefined),
  bytes: (given) => {
    const text = textOf(given)
    return text === undefined ? undefined : parseBytes(text)
  },
  address: (given) => (given === '' || isAddress(given) ? given : undefined),
  list: listOf,
  map: mapOf,
}

const boolByText: ReadonlyMap<string, boolean> = new Map([
  ['true', true],
  ['yes', true],
  ['on', true],
  ['1', true],
  ['false', false],
  ['no', false],
  ['off', false],
  ['0', false],
])

function isAddress(given: unknown): boolean {
  return typeof given === 'string' && parseAddress(given) !== undefined
}

function textOf(given: unknown): string | undefined {
  if (typeof given === 'string') return given
  return typeof given === 'number' || typeof given === 'boolean' ? String(given) : undefined
}

function numberOf(given: unknown, shape: RegExp): number | undefined {
  const text = textOf(given)
  return text !== undefined && shape.test(text) ? Number(text) : undefined
}

function listOf(given: unknown): readonly string[] | undefined {
  if (Array.isArray(given)) {
    const texts = given.map(textOf)
    return texts.every((text) => text !== undefined) ? texts : undefined
  }
  const parts = textOf(given)?.split(',')
  return parts?.map((part) => part.trim()).filter((part) => part !== '')
}

function mapOf(given: unknown): Readonly<Record<string, string>> | undefined {
  const entries =
    typeof given === 'object' && given !== null && !Array.isArray(given)
      ? Object.entries(given).map(([key, value]) => [key, textOf(value)] as const)
      : listOf(given)?.map(pairOf)
  if (entries === undefined || entries.some(([, value]) => value === undefined)) return undefined
  return Object.fromEntries(entries) as Record<string, string>
}

function pairOf(text: string): readonly [string, string | undefined] {
  const at = text.indexOf('=')
  return at < 1 ? [text, undefined] : [text.slice(0, at).trim(), text.slice(at + 1).trim()]
}
