/** The text of `describe`: facts in two columns, then blocks with a title. */
import { formatColumns } from './table.ts'

export type Fact = readonly [name: string, value: string]

/** Facts with an empty value or "-" are left out. */
export function facts(rows: readonly Fact[]): string {
  return formatColumns(
    rows
      .filter(([, value]) => value !== '' && value !== '-')
      .map(([name, value]) => [`${name}:`, value]),
  )
}

/** A titled block, indented; nothing when there is nothing in it. */
export function block(title: string, text: string): string {
  if (text === '') return ''
  return `${title}:\n${indented(text)}`
}

export function indented(text: string): string {
  return text.replace(/^(?=.)/gm, '  ')
}
