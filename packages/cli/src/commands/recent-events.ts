/** The newest events of one thing, for `describe`. */
import type { CommandContext } from '../command.ts'
import { explainFailure } from '../connection/explain.ts'
import { formatColumns } from '../output/table.ts'
import { pageLimit } from '../paging.ts'
import { age } from '../resources/format.ts'

const shownMax = 10
/** Events of one thing are few; more pages than this are not read for a glance. */
const pagesMax = 10

/** Lines, oldest first; empty when there are none. */
export async function recentEvents(
  context: CommandContext,
  resourceType: string,
  resourceId: string,
): Promise<string> {
  const { coordinator } = await context.connect()
  const filter = { resourceType, resourceId }
  let newest: readonly {
    severity: string
    type: string
    timestampMs: bigint
    description: string
  }[] = []
  try {
    let continueToken = ''
    for (let pages = 0; pages < pagesMax; pages++) {
      const page = await coordinator.listEvents(
        { filter, limit: pageLimit, continueToken },
        { signal: context.signal },
      )
      newest = [...newest, ...page.events].slice(-shownMax)
      continueToken = page.nextToken
      if (continueToken === '') break
    }
  } catch (reason) {
    // What is described matters more than its history; say that it is missing.
    return `could not be read: ${explainFailure(reason).message}\n`
  }
  const nowMs = context.clock.wallMs()
  if (newest.length === 0) return ''
  return formatColumns([
    ['AGE', 'SEVERITY', 'TYPE', 'DESCRIPTION'],
    ...newest.map((event) => [
      age(event.timestampMs, nowMs),
      event.severity,
      event.type,
      event.description,
    ]),
  ])
}
