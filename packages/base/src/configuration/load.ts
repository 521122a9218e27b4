/**
 * Configuration from flags, environment, a file and defaults, in that order of precedence.
 *
 * A program declares its settings as one table; flags, variables, file keys, defaults, `--help` and the printed form are
 * all made from it. Every fault is reported at once, each with where it came from; unknown flags and keys are refused with
 * the nearest known one. Unknown variables are not: an environment is shared between programs.
 *
 * A key such as "raft.addr" is read from `--raft-addr`, `CLOUDLESS_RAFT_ADDR` and, in the file, `raft: {addr: ...}`.
 */
import { placeIn, readFileValues, type FileReader } from './file.ts'
import { readFlags } from './flags.ts'
import { environmentPrefix, flagOf, variablesOf, type Setting, type Values } from './setting.ts'
import { parseValue } from './value.ts'

/** The file is the one named by --config or CLOUDLESS_CONFIG_FILE; CLOUDLESS_CONFIG is the CLI's. */
export interface ConfigurationInput extends FileReader {
  /** The arguments after the program's name and verb. */
  readonly args: readonly string[]
  readonly env: Readonly<Record<string, string | undefined>>
}

export type ConfigurationResult<S extends readonly Setting[]> =
  | {
      readonly kind: 'ok'
      readonly values: Values<S>
      /** By key: "flag --raft-addr", "CLOUDLESS_RAFT_ADDR", "coordinator.yaml:12: raft.addr" or "default". */
      readonly sources: ReadonlyMap<string, string>
    }
  /** Each one sentence that names the source. */
  | { readonly kind: 'invalid'; readonly problems: readonly string[] }
  | { readonly kind: 'help' }

export function loadConfiguration<const S extends readonly Setting[]>(
  settings: S,
  input: ConfigurationInput,
): ConfigurationResult<S> {
  const problems: string[] = []
  const flags = readFlags(settings, input.args, problems)
  if (flags.has('help')) return { kind: 'help' }
  const path = flags.get('config') ?? variable('CONFIG_FILE')
  const file = path === undefined ? new Map() : readFileValues(settings, path, input, problems)

  const values: Record<string, unknown> = {}
  const sources = new Map<string, string>()
  for (const setting of settings) {
    const given = strongest(setting)
    values[setting.key] = setting.default
    sources.set(setting.key, given?.source ?? 'default')
    if (given === undefined) continue
    const parsed = parseValue(setting, given.value)
    if (parsed.kind === 'ok') values[setting.key] = parsed.value
    else problems.push(`${given.source}: ${parsed.problem}`)
  }
  if (problems.length > 0) return { kind: 'invalid', problems }
  return { kind: 'ok', values: values as Values<S>, sources }

  /** An empty variable is an unset one: that is how a shell takes one away. */
  function variable(name: string): string | undefined {
    return input.env[environmentPrefix + name] || undefined
  }

  function strongest(setting: Setting): { source: string; value: unknown } | undefined {
    const { key } = setting
    const flag = flags.get(flagOf(setting))
    if (flag !== undefined) return { source: `flag --${flagOf(setting)}`, value: flag }
    for (const name of variablesOf(setting)) {
      const value = input.env[name]
      if (value) return { source: name, value }
    }
    if (!file.has(key)) return undefined
    return { source: placeIn(path ?? '', key, input), value: file.get(key) }
  }
}
