/** Settings and their values in words: --help, and the configuration a program runs with. */
import { formatBytes } from '../bytes.ts'
import { formatDurationMsExactly } from '../duration.ts'
import { flagOf, type Setting } from './setting.ts'

/** Stands for every secret, so that not even its length is told. */
const mask = '********'

/** One line a setting: flag, meaning and default. */
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

/** The configuration as it may be shown, by key: secrets masked, durations readable. */
export function printableConfiguration(
  settings: readonly Setting[],
  values: Readonly<Record<string, unknown>>,
): Record<string, unknown> {
  return Object.fromEntries(
    settings.map((setting) => [setting.key, printable(setting, values[setting.key])]),
  )
}

function printable(setting: Setting, value: unknown): unknown {
  if (setting.secret === true) return value === '' ? '' : mask
  return setting.type === 'duration' ? formatDurationMsExactly(value as number) : value
}

function placeholderOf({ type, choices }: Setting): string {
  if (choices) return choices.join('|')
  switch (type) {
    case 'bool':
      return ''
    case 'int':
    case 'number':
      return 'N'
    case 'list':
      return 'A,B'
    case 'map':
      return 'K=V,...'
    case 'address':
      return 'HOST:PORT'
    case 'string':
    case 'duration':
    case 'bytes':
      return type.toUpperCase()
  }
}

function defaultText({ type, default: value, secret }: Setting): string {
  if (value === '' || (Array.isArray(value) && value.length === 0)) return ''
  if (type === 'map' || secret === true) return ''
  if (type === 'duration') return `(default ${formatDurationMsExactly(value)})`
  if (type === 'bytes') return `(default ${formatBytes(value)})`
  return `(default ${String(value)})`
}
