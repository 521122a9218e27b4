/**
 * Configuration from flags, environment, a file and defaults, in that order of precedence (SPEC 22).
 *
 * A program declares its settings as one table; flags, variables, file keys, defaults, `--help` and the printed form are
 * all made from it. Every fault is reported at once, each with where it came from; unknown names are refused with the
 * nearest known one.
 *
 * A key such as "raft.addr" is read from `--raft-addr`, `CLOUDLESS_RAFT_ADDR` and, in the file, `raft: {addr: ...}`.
 */
import { parseArgs } from 'node:util'
import { parseBytes } from './bytes.ts'
import { formatDurationMs, parseDurationMs } from './duration.ts'
import { nearestName } from './suggest.ts'

interface ValueByType {
  readonly string: string
  readonly int: number
  readonly number: number
  readonly bool: boolean
  /** Milliseconds. */
  readonly duration: number
  readonly bytes: number
  /** Comma-separated in flags and variables. */
  readonly list: readonly string[]
  /** "key=value,..." in flags and variables. */
  readonly map: Readonly<Record<string, string>>
}

export type SettingType = keyof ValueByType

export type Setting = {
  readonly [T in SettingType]: {
    /** Dotted, snake_case: its place in the file. */
    readonly key: string
    readonly type: T
    readonly default: ValueByType[T]
    /** One sentence; the unit and the meaning of special values. */
    readonly help: string
    /** Masked wherever the configuration is printed. */
    readonly secret?: boolean
    /** The flag when it is not the key with dashes. */
    readonly flag?: string
    /** The only values there are. */
    readonly choices?: readonly string[]
    readonly min?: number
    readonly max?: number
  }
}[SettingType]

export type Values<S extends readonly Setting[]> = {
  readonly [One in S[number] as One['key']]: ValueByType[One['type']]
}

export interface ConfigurationInput {
  /** The arguments after the program's name and verb. */
  readonly args: readonly string[]
  readonly env: Readonly<Record<string, string | undefined>>
  /** Reads the file named by --config or CLOUDLESS_CONFIG_FILE into a plain value; throws with a message for people. */
  readonly readFile: (path: string) => unknown
}

export type ConfigurationResult<S extends readonly Setting[]> =
  | {
      readonly kind: 'ok'
      readonly values: Values<S>
      readonly sources: ReadonlyMap<string, string>
    }
  /** Each one sentence that names the source. */
  | { readonly kind: 'invalid'; readonly problems: readonly string[] }
  | { readonly kind: 'help' }

const environmentPrefix = 'CLOUDLESS_'

export function loadConfiguration<const S extends readonly Setting[]>(
  settings: S,
  input: ConfigurationInput,
): ConfigurationResult<S> {
  const problems: string[] = []
  const flags = readFlags(settings, input.args, problems)
  if (flags.has('help')) return { kind: 'help' }
  const path = flags.get('config') ?? input.env[`${environmentPrefix}CONFIG_FILE`]
  const file = path === undefined ? new Map() : readFile(settings, path, input.readFile, problems)

  const values: Record<string, unknown> = {}
  const sources = new Map<string, string>()
  for (const setting of settings) {
    const given = sourcesOf(setting, { flags, env: input.env, file, path: path ?? '' })[0]
    values[setting.key] = setting.default
    sources.set(setting.key, given?.source ?? 'default')
    if (given === undefined) continue
    const parsed = parseValue(setting, given.value)
    if (parsed.kind === 'ok') values[setting.key] = parsed.value
    else problems.push(`${given.source}: ${parsed.problem}`)
  }
  if (problems.length > 0) return { kind: 'invalid', problems }
  return { kind: 'ok', values: values as Values<S>, sources }
}

/** One line a setting: flag, default and meaning. */
export function describeSettings(settings: readonly Setting[]): string {
  const rows = [
    ['--config FILE', 'Read settings from this YAML file.'],
    ...settings.map((setting) => [
      `--${flagOf(setting)} ${placeholderOf(setting)}`.trim(),
      `${setting.help} ${defaultText(setting)}`.trim(),
    ]),
  ] as const
  const width = Math.max(...rows.map(([flag]) => flag!.length))
  return rows.map(([flag, help]) => `  ${flag!.padEnd(width)}  ${help}`).join('\n')
}

/** The configuration as it may be shown: secrets masked, durations readable. */
export function printableConfiguration(
  settings: readonly Setting[],
  values: Readonly<Record<string, unknown>>,
): Record<string, unknown> {
  return Object.fromEntries(
    settings.map((setting) => [setting.key, printable(setting, values[setting.key])]),
  )
}

function printable(setting: Setting, value: unknown): unknown {
  if (setting.secret === true) return value === '' ? '' : '********'
  return setting.type === 'duration' ? formatDurationMs(value as number) : value
}

function flagOf(setting: Setting): string {
  return setting.flag ?? setting.key.replaceAll(/[._]/g, '-')
}

function variableOf(setting: Setting): string {
  return environmentPrefix + setting.key.replaceAll('.', '_').toUpperCase()
}

function placeholderOf({ type, choices }: Setting): string {
  if (choices) return choices.join('|')
  return { bool: '', list: 'A,B', map: 'K=V,...', int: 'N' }[type as string] ?? type.toUpperCase()
}

function defaultText(setting: Setting): string {
  const { default: value, type } = setting
  if (value === '' || (Array.isArray(value) && value.length === 0)) return ''
  if (type === 'map' || setting.secret === true) return ''
  return `(default ${type === 'duration' ? formatDurationMs(value as number) : String(value)})`
}

function readFlags(
  settings: readonly Setting[],
  args: readonly string[],
  problems: string[],
): Map<string, string> {
  const byFlag = new Map(settings.map((setting) => [flagOf(setting), setting]))
  const options = Object.fromEntries(
    [...byFlag].map(([flag, { type }]) => [
      flag,
      { type: type === 'bool' ? ('boolean' as const) : ('string' as const) },
    ]),
  )
  const { tokens } = parseArgs({
    args: [...args],
    strict: false,
    tokens: true,
    allowNegative: true,
    options: { ...options, config: { type: 'string' }, help: { type: 'boolean', short: 'h' } },
  })
  const flags = new Map<string, string>()
  for (const token of tokens) {
    if (token.kind === 'positional') problems.push(`argument "${token.value}": is not expected`)
    if (token.kind !== 'option') continue
    const { name, value } = token
    const negated = name.startsWith('no-') && byFlag.get(name.slice(3))?.type === 'bool'
    const known = negated || byFlag.has(name) || name === 'config' || name === 'help'
    if (!known) problems.push(unknownName(`flag ${token.rawName}`, name, [...byFlag.keys()], '--'))
    else if (negated) flags.set(name.slice(3), 'false')
    else if (byFlag.get(name)?.type === 'bool' || name === 'help') flags.set(name, value ?? 'true')
    else if (value === undefined) problems.push(`flag --${name}: needs a value`)
    else flags.set(name, value)
  }
  return flags
}

function readFile(
  settings: readonly Setting[],
  path: string,
  read: (path: string) => unknown,
  problems: string[],
): Map<string, unknown> {
  const found = new Map<string, unknown>()
  const keys = settings.map((setting) => setting.key)
  const mapKeys = new Set(settings.filter(({ type }) => type === 'map').map(({ key }) => key))
  const walk = (value: unknown, prefix: string): void => {
    const isSection = keys.some((key) => key.startsWith(`${prefix}.`)) || prefix === ''
    if (mapKeys.has(prefix) || !isSection) {
      if (keys.includes(prefix)) found.set(prefix, value)
      else problems.push(unknownName(`${path}: ${prefix}`, prefix, keys, ''))
      return
    }
    if (value === null || value === undefined) return
    if (typeof value !== 'object' || Array.isArray(value)) {
      problems.push(`${path}: ${prefix || 'the file'}: must be a section with keys`)
      return
    }
    for (const [key, inner] of Object.entries(value)) {
      walk(inner, prefix === '' ? key : `${prefix}.${key}`)
    }
  }
  try {
    walk(read(path), '')
  } catch (reason) {
    problems.push(`${path}: ${reason instanceof Error ? reason.message : String(reason)}`)
  }
  return found
}

function unknownName(what: string, name: string, known: readonly string[], prefix: string): string {
  const nearest = nearestName(name, known)
  return `${what}: is not known${nearest === undefined ? '' : `; did you mean ${prefix}${nearest}?`}`
}

interface Given {
  readonly source: string
  readonly value: unknown
}

/** Strongest first. */
function sourcesOf(
  setting: Setting,
  from: {
    readonly flags: ReadonlyMap<string, string>
    readonly env: Readonly<Record<string, string | undefined>>
    readonly file: ReadonlyMap<string, unknown>
    readonly path: string
  },
): Given[] {
  const all: Given[] = [
    { source: `flag --${flagOf(setting)}`, value: from.flags.get(flagOf(setting)) },
    { source: variableOf(setting), value: from.env[variableOf(setting)] },
    { source: `${from.path}: ${setting.key}`, value: from.file.get(setting.key) },
  ]
  return all.filter(({ value }) => value !== undefined && value !== null)
}

type Parsed =
  | { readonly kind: 'ok'; readonly value: unknown }
  | { readonly kind: 'problem'; readonly problem: string }

function parseValue(setting: Setting, given: unknown): Parsed {
  const parsed = parsers[setting.type](given)
  if (parsed === undefined)
    return problem(`${quoted(setting, given)} is not ${article[setting.type]}`)
  if (setting.choices && !setting.choices.includes(String(parsed))) {
    return problem(`${quoted(setting, given)} is none of ${setting.choices.join(', ')}`)
  }
  if (typeof parsed === 'number') {
    if (setting.min !== undefined && parsed < setting.min) {
      return problem(`${quoted(setting, given)} is below ${limitText(setting, setting.min)}`)
    }
    if (setting.max !== undefined && parsed > setting.max) {
      return problem(`${quoted(setting, given)} is above ${limitText(setting, setting.max)}`)
    }
  }
  return { kind: 'ok', value: parsed }
}

function problem(text: string): Parsed {
  return { kind: 'problem', problem: text }
}

function quoted(setting: Setting, given: unknown): string {
  return setting.secret === true ? 'its value' : JSON.stringify(given)
}

function limitText({ type }: Setting, limit: number): string {
  return type === 'duration' ? formatDurationMs(limit) : String(limit)
}

const article: Readonly<Record<SettingType, string>> = {
  string: 'text',
  int: 'a whole number',
  number: 'a number',
  bool: 'true or false',
  duration: 'a duration like 300ms, 30s, 5m or 24h',
  bytes: 'a size like 512Mi or 2Gi',
  list: 'a list',
  map: 'a list of key=value',
}

/** Undefined: not of the type. */
const parsers: Readonly<Record<SettingType, (given: unknown) => unknown>> = {
  string: (given) =>
    typeof given === 'string' || typeof given === 'number' ? String(given) : undefined,
  int: (given) => numberOf(given, Number.isSafeInteger),
  number: (given) => numberOf(given, Number.isFinite),
  bool: (given) =>
    typeof given === 'boolean'
      ? given
      : { true: true, false: false, 1: true, 0: false }[String(given)],
  duration: (given) => (typeof given === 'string' ? parseDurationMs(given) : undefined),
  bytes: (given) =>
    typeof given === 'string' ? parseBytes(given) : numberOf(given, Number.isSafeInteger),
  list: (given) =>
    Array.isArray(given)
      ? given.map(String)
      : typeof given === 'string'
        ? given
            .split(',')
            .map((part) => part.trim())
            .filter((part) => part !== '')
        : undefined,
  map: mapOf,
}

function numberOf(given: unknown, accepts: (value: number) => boolean): number | undefined {
  if (typeof given !== 'number' && (typeof given !== 'string' || given.trim() === ''))
    return undefined
  const value = Number(given)
  return accepts(value) ? value : undefined
}

function mapOf(given: unknown): Record<string, string> | undefined {
  if (typeof given === 'object' && given !== null && !Array.isArray(given)) {
    return Object.fromEntries(Object.entries(given).map(([key, value]) => [key, String(value)]))
  }
  if (typeof given !== 'string') return undefined
  const entries = given.split(',').filter((part) => part.trim() !== '')
  if (!entries.every((entry) => entry.includes('='))) return undefined
  return Object.fromEntries(
    entries.map((entry) => {
      const at = entry.indexOf('=')
      return [entry.slice(0, at).trim(), entry.slice(at + 1).trim()]
    }),
  )
}
