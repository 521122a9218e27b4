/** Settings as a table: flags, variables, the file's keys, defaults and help all follow from one entry. */

export interface ValueByType {
  readonly string: string
  readonly int: number
  readonly number: number
  readonly bool: boolean
  /** Milliseconds. */
  readonly duration: number
  readonly bytes: number
  /** "host:port", as it was written; see parseAddress. Empty: none. */
  readonly address: string
  /** Comma-separated in flags and variables; the flag may be repeated. */
  readonly list: readonly string[]
  /** "key=value,..." in flags and variables; the flag may be repeated. */
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
    /** Masked wherever the configuration is printed, and in problems. */
    readonly secret?: boolean
    /** The flag when it is not the key with dashes. */
    readonly flag?: string
    /** A variable beside the one made of the key, such as one that people know it by. */
    readonly variable?: string
    /** The only values there are. */
    readonly choices?: readonly string[]
    readonly min?: number
    readonly max?: number
  }
}[SettingType]

export type Values<S extends readonly Setting[]> = {
  readonly [One in S[number] as One['key']]: ValueByType[One['type']]
}

export const environmentPrefix = 'CLOUDLESS_'

/** Without the dashes before it: "raft-addr". */
export function flagOf(setting: Setting): string {
  return setting.flag ?? setting.key.replaceAll(/[._]/g, '-')
}

export function variableOf(setting: Setting): string {
  return environmentPrefix + setting.key.replaceAll('.', '_').toUpperCase()
}

/** All that it is read from, the first that is set. */
export function variablesOf(setting: Setting): string[] {
  const { variable } = setting
  return [variableOf(setting), ...(variable === undefined ? [] : [variable])]
}

/** Several of one flag are one longer list; of anything else the last counts. */
export function isCollected({ type }: Setting): boolean {
  return type === 'list' || type === 'map'
}
