/** Lists come in pages; commands show all of them. */
import { CloudlessError } from '@cloudless/base'

interface Page {
  readonly nextToken: string
}

/** A list of 1000 pages of 1000 is a server that never ends; we stop believing it. */
const pagesMax = 1_000
export const pageLimit = 1_000

/** Calls `fetch` with each page's token until there is none, and joins what `itemsOf` takes from the pages. */
export async function fetchAll<P extends Page, T>(
  fetch: (page: { limit: number; continueToken: string }) => Promise<P>,
  itemsOf: (page: P) => readonly T[],
): Promise<T[]> {
  const items: T[] = []
  let continueToken = ''
  for (let pages = 0; pages < pagesMax; pages++) {
    const page = await fetch({ limit: pageLimit, continueToken })
    items.push(...itemsOf(page))
    if (page.nextToken === '') return items
    continueToken = page.nextToken
  }
  throw new CloudlessError('internal', `the list did not end after ${pagesMax} pages`)
}
