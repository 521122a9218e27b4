/** One watch: from memory while it keeps up, from the engine's history while it does not. */
import { CloudlessError } from '@cloudless/base'
import type { RecentChanges } from './recent-changes.ts'
import type { ChangeBatch } from './store.ts'
import type { HistoryPage } from './sqlite/messages.ts'

export type { HistoryPage }

export interface WatchDeps {
  readonly recent: RecentChanges
  /** The changes under the watched prefix after `fromRevision`, whole transactions. */
  readHistory(fromRevision: number): Promise<HistoryPage>
  /** Why the store can no longer be used, if so. */
  failure(): CloudlessError | undefined
}

export interface WatchOptions {
  readonly prefix: string
  readonly fromRevision: number
  readonly signal: AbortSignal
}

export async function* createWatch(
  deps: WatchDeps,
  { prefix, fromRevision, signal }: WatchOptions,
): AsyncGenerator<ChangeBatch> {
  let position = fromRevision
  while (!signal.aborted) {
    const failure = deps.failure()
    if (failure !== undefined) throw failure
    const head = deps.recent.head
    if (position >= head) {
      await nextCommit(deps.recent, signal)
      continue
    }
    let changes = deps.recent.after(position, prefix)
    let revision = head
    if (changes === undefined) {
      const page = await deps.readHistory(position)
      if (position + 1 < page.compactedRevision) throw historyIsGone(position, page)
      changes = page.changes
      revision = page.revision
    }
    position = revision
    if (changes.length > 0 && !signal.aborted) yield { revision, changes }
  }
}

async function nextCommit(recent: RecentChanges, signal: AbortSignal): Promise<void> {
  const { pushed, forget } = recent.next()
  const { promise: aborted, resolve: abort } = Promise.withResolvers<void>()
  const onAbort = (): void => abort()
  signal.addEventListener('abort', onAbort, { once: true })
  try {
    await Promise.race([pushed, aborted])
  } finally {
    signal.removeEventListener('abort', onAbort)
    forget()
  }
}

function historyIsGone(position: number, page: HistoryPage): CloudlessError {
  return new CloudlessError(
    'failed_precondition',
    `the changes after revision ${position} are no longer kept (kept from ${page.compactedRevision}); ` +
      'list again and watch from the revision of the list',
    { details: { fromRevision: position, compactedRevision: page.compactedRevision } },
  )
}
