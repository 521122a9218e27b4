/** Flags of a program whose flags are its settings: --key value, --key=value, --truth, --no-truth. */
import { parseArgs } from 'node:util'
import { flagOf, isCollected, type Setting } from './setting.ts'
import { unknownName } from './unknown-name.ts'

/** What was given, by flag; "config" and "help" are every program's. Problems are added to `problems`. */
export function readFlags(
  settings: readonly Setting[],
  args: readonly string[],
  problems: string[],
): ReadonlyMap<string, string> {
  const byFlag = new Map(settings.map((setting) => [flagOf(setting), setting]))
  const isBool = (flag: string) => byFlag.get(flag)?.type === 'bool'
  const options = [...byFlag.keys()].map(
    (flag) => [flag, { type: isBool(flag) ? ('boolean' as const) : ('string' as const) }] as const,
  )
  const { tokens } = parseArgs({
    args: [...args],
    strict: false,
    tokens: true,
    options: {
      ...Object.fromEntries(options),
      config: { type: 'string' },
      help: { type: 'boolean', short: 'h' },
    },
  })
  const flags = new Map<string, string>()
  // What follows an unknown flag is likely its value: not a problem of its own.
  let valueOfUnknownAt = -1
  for (const token of tokens) {
    if (token.kind === 'positional' && token.index !== valueOfUnknownAt) {
      problems.push(`argument "${token.value}": is not expected`)
    }
    if (token.kind !== 'option') continue
    const { name, value } = token
    const setting = byFlag.get(name)
    const isNegated = name.startsWith('no-') && isBool(name.slice('no-'.length))
    const isKnown = setting !== undefined || isNegated || name === 'config' || name === 'help'
    if (!isKnown) {
      valueOfUnknownAt = token.index + 1
      problems.push(unknownName(`flag ${token.rawName}`, name, [...byFlag.keys(), 'config'], '--'))
    } else if (isNegated) flags.set(name.slice('no-'.length), 'false')
    else if (isBool(name) || name === 'help') flags.set(name, value ?? 'true')
    else if (value === undefined) problems.push(`flag --${name}: needs a value`)
    else flags.set(name, collected(setting, flags.get(name), value))
  }
  return flags
}

function collected(
  setting: Setting | undefined,
  before: string | undefined,
  value: string,
): string {
  const isMore = setting !== undefined && isCollected(setting) && before !== undefined
  return isMore ? `${before},${value}` : value
}
