/** Tables: box-drawn with a total for people, bare columns where a script or a watch wants lines. */
import Table from 'cli-table3'

/** One column of a kind of thing. `wide` ones are shown by -o wide only. */
export interface Column<T> {
  readonly title: string
  readonly wide?: true
  value(item: T, nowMs: number): string
}

export interface TableOptions {
  readonly headers: boolean
  /** What is counted: "Total: 1 node", "Total: 3 nodes". */
  readonly singular: string
  readonly plural: string
}

export function columnsShown<T>(columns: readonly Column<T>[], wide: boolean): Column<T>[] {
  return columns.filter((column) => wide || !column.wide)
}

/** The whole table with its footer, ending in a line break. */
export function formatTable<T>(
  columns: readonly Column<T>[],
  items: readonly T[],
  nowMs: number,
  options: TableOptions,
): string {
  const rows = items.map((item) => columns.map((column) => clean(column.value(item, nowMs))))
  if (!options.headers) return rows.length === 0 ? '' : formatColumns(rows)
  const table = new Table({
    head: columns.map((column) => column.title),
    style: { head: [], border: [], compact: true },
  })
  table.push(...rows)
  const counted = items.length === 1 ? options.singular : options.plural
  return `${table.toString()}\nTotal: ${items.length} ${counted}\n`
}

/**
 * Columns padded to the widest cell, two spaces apart, without borders. `widths` is grown to what was needed, so that
 * rows printed later line up with those printed before.
 */
export function formatColumns(rows: readonly (readonly string[])[], widths: number[] = []): string {
  for (const row of rows) {
    for (const [index, cell] of row.entries()) {
      widths[index] = Math.max(widths[index] ?? 0, cell.length)
    }
  }
  return rows
    .map(
      (row) =>
        `${row
          .map(clean)
          .map((cell, index) => cell.padEnd(widths[index]!))
          .join('  ')
          .trimEnd()}\n`,
    )
    .join('')
}

/** Cells come from other people's input: control characters would move the cursor. */
function clean(cell: string): string {
  // eslint-disable-next-line no-control-regex -- control characters are what is looked for.
  return cell.replace(/[\u0000-\u001f\u007f-\u009f]/g, ' ')
}
