/**
 * Many operations, one fsync. A group is one SQLite transaction, in which each operation keeps its own revision and its
 * own verdict. The whole group is on disk or none of it.
 *
 * When the disk is full each operation of the group is tried alone: deletions still pass, and a large write does not
 * take small ones down with it. When the disk fails while committing nobody knows what it holds: that group ends as
 * 'unknown' and the writer writes no more, because after a failed fsync later ones may lie.
 */
import type { DatabaseSync } from 'node:sqlite'
import { CloudlessError, systemClock } from '@cloudless/base'
import { createApply, type Revisions } from './apply.ts'
import { HistorySize } from './history-size.ts'
import { explainFailure, leavesOutcomeUnknown, toFailureMessage } from './failure.ts'
import type { CommitReply, DatabaseOptions, Operation, Outcome } from './messages.ts'

/** Pages beyond the quota that only operations which free space may use: a full store can be emptied. */
const reservePages = 256

export type Commit = (operations: readonly Operation[]) => CommitReply

export function createGroupCommit(
  database: DatabaseSync,
  start: Revisions,
  options: DatabaseOptions,
): Commit {
  const apply = createApply(database)
  const saveState = database.prepare('UPDATE state SET revision = ?, compacted_revision = ?')
  const pageBytes = Number(database.prepare('PRAGMA page_size').get()!['page_size'])
  const pagesMax = Math.ceil(options.sizeBytesMax / pageBytes)
  const history = new HistorySize(database)
  let current = start
  let broken: CloudlessError | undefined

  return (operations) => {
    const startedMs = systemClock.monotonicMs()
    const outcomes = commitGroup(operations)
    return { outcomes, ...current, commitMs: systemClock.monotonicMs() - startedMs }
  }

  function commitGroup(operations: readonly Operation[]): Outcome[] {
    if (broken !== undefined) return failAll(operations, broken)
    const pages = pagesMax + (operations.some(grows) ? 0 : reservePages)
    let committing = false
    try {
      database.exec(`PRAGMA max_page_count = ${pages}`)
      database.exec('BEGIN IMMEDIATE')
      const { outcomes, after, wrote } = applyAll(operations)
      if (!wrote) {
        database.exec('ROLLBACK')
        return outcomes
      }
      saveState.run(after.revision, after.compactedRevision)
      pretendSlowDisk(options.commitDelayMs)
      committing = true
      database.exec('COMMIT')
      current = after
      for (const outcome of outcomes) {
        if (outcome.kind === 'done') history.add(outcome.revision, outcome.changes.length)
      }
      history.forgetBefore(after.compactedRevision)
      return outcomes
    } catch (reason) {
      if (database.isTransaction) database.exec('ROLLBACK')
      const error = explainFailure(reason, { ...options, attempt: 'writing to' })
      if (committing && leavesOutcomeUnknown(reason)) return failAll(operations, breakDown(error))
      if (error.code !== 'resource_exhausted' || operations.length === 1) {
        return failAll(operations, error)
      }
      return operations.flatMap((operation) => commitGroup([operation]))
    }
  }

  function applyAll(operations: readonly Operation[]): {
    outcomes: Outcome[]
    after: Revisions
    wrote: boolean
  } {
    let after = current
    let wrote = false
    const outcomes: Outcome[] = []
    for (const operation of operations) {
      const applied = apply(operation, after)
      outcomes.push(applied.outcome)
      after = applied.revisions
      wrote ||= applied.wrote
    }
    const oldest = wrote ? oldestToKeep(after) : 0
    if (oldest > 0) after = apply({ kind: 'compact', revision: oldest }, after).revisions
    return { outcomes, after, wrote }
  }

  /** Below which history is cut off; 0: not now. Seldom: what is cut off at once is a tenth of it. */
  function oldestToKeep({ revision, compactedRevision }: Revisions): number {
    const { historyRevisions, historyChangesMax } = options
    const byRevisions = revision - historyRevisions + 1
    const isLong = byRevisions - compactedRevision > Math.ceil(historyRevisions / 10)
    const isLarge = history.changes > historyChangesMax * 1.1
    const byChanges = isLarge ? history.oldestOf(historyChangesMax) : 0
    return Math.max(isLong ? byRevisions : 0, byChanges)
  }

  /** What was in flight is unknown; what comes later is refused for certain. */
  function breakDown(error: CloudlessError): CloudlessError {
    broken = error
    return new CloudlessError(
      'unavailable',
      `${error.message}; whether this write was done is not known`,
      { cause: error, details: { ...error.details, outcome: 'unknown' } },
    )
  }
}

function grows(operation: Operation): boolean {
  if (operation.kind === 'grant-lease') return true
  if (operation.kind !== 'transact') return false
  return operation.transaction.writes.some((write) => write.kind === 'put')
}

function failAll(operations: readonly Operation[], error: CloudlessError): Outcome[] {
  const failure = toFailureMessage(error)
  return operations.map(() => ({ kind: 'failed', failure }))
}

/** Holds this thread, as an fsync does. */
function pretendSlowDisk(delayMs: number): void {
  if (delayMs > 0) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, delayMs)
}
