/** Several logs as one, by time. */
import type { LogLine } from './log-source.ts'

export interface SourceLine {
  readonly source: string
  readonly line: LogLine
}

/** Each source must be in order by itself; lines of the same microsecond keep the order of the sources. */
export async function* mergeByTime(
  sources: readonly { readonly name: string; readonly lines: AsyncIterator<LogLine> }[],
): AsyncGenerator<SourceLine> {
  const heads = await Promise.all(
    sources.map(async ({ name, lines }) => ({ name, lines, next: await lines.next() })),
  )
  for (;;) {
    let earliest: (typeof heads)[number] | undefined
    for (const head of heads) {
      if (head.next.done) continue
      const before = earliest?.next
      if (before === undefined || head.next.value.timestampUs < before.value.timestampUs) {
        earliest = head
      }
    }
    if (earliest === undefined || earliest.next.done) return
    yield { source: earliest.name, line: earliest.next.value }
    earliest.next = await earliest.lines.next()
  }
}
