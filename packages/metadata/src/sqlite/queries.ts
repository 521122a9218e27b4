/** The reads, each from one snapshot of the database. */
import { statSync } from 'node:fs'
import type { DatabaseSync, SQLOutputValue } from 'node:sqlite'
import { endOfPrefix } from '../rules.ts'
import type { Change, Entry, ListOptions, ListResult } from '../store.ts'
import type { HistoryPage } from './messages.ts'

/** A page of history ends with the transaction that reaches one of these. */
const pageChanges = 1_000
const pageBytes = 4 * 1024 * 1024

export interface Queries {
  get(key: string): Entry | undefined
  list(prefix: string, options: ListOptions): ListResult
  /** Changes under `prefix` after `fromRevision`, whole transactions; none when that history is gone. */
  history(prefix: string, fromRevision: number): HistoryPage
  sizeBytes(): number
  /** From now on everything is read from the state at this moment. Returns its revision. */
  hold(): number
}

type Row = Record<string, SQLOutputValue>

export function createQueries(database: DatabaseSync, path: string): Queries {
  const selectOne = database.prepare('SELECT * FROM entries WHERE key = ?')
  const selectRange = database.prepare(
    'SELECT * FROM entries WHERE key >= ? AND key > ? AND key < ? ORDER BY key LIMIT ?',
  )
  const selectState = database.prepare('SELECT revision, compacted_revision FROM state')
  const selectHistory = database.prepare(
    `SELECT revision, key, value, create_revision FROM history
     WHERE revision > ? AND key >= ? AND key < ? ORDER BY revision, sequence`,
  )

  let isHeld = false

  return {
    get(key) {
      const row = selectOne.get(key)
      return row && toEntry(row)
    },
    list: (prefix, options) => inSnapshot(() => list(prefix, options)),
    history: (prefix, fromRevision) => inSnapshot(() => history(prefix, fromRevision)),
    sizeBytes() {
      const log = statSync(`${path}-wal`, { throwIfNoEntry: false })
      return statSync(path).size + (log?.size ?? 0)
    },
    hold() {
      database.exec('BEGIN')
      isHeld = true
      return Number(selectState.get()!['revision'])
    },
  }

  function inSnapshot<T>(read: () => T): T {
    if (isHeld) return read()
    database.exec('BEGIN')
    try {
      return read()
    } finally {
      database.exec('COMMIT')
    }
  }

  function list(prefix: string, options: ListOptions): ListResult {
    const revision = Number(selectState.get()!['revision'])
    const { limit, afterKey = '' } = options
    // SQLite seeks to one of the two lower bounds and looks at each row for the other: the higher one is given for both.
    const from = afterKey > prefix ? afterKey : prefix
    const rowsMax = limit === undefined ? -1 : limit + 1
    const rows = selectRange.all(from, afterKey, endOfPrefix(prefix), rowsMax)
    const more = limit !== undefined && rows.length > limit
    return { entries: (more ? rows.slice(0, limit) : rows).map(toEntry), revision, more }
  }

  function history(prefix: string, fromRevision: number): HistoryPage {
    const state = selectState.get()!
    const compactedRevision = Number(state['compacted_revision'])
    const changes: Change[] = []
    if (fromRevision + 1 < compactedRevision) {
      return { changes, revision: fromRevision, compactedRevision }
    }
    let bytes = 0
    let revision = fromRevision
    for (const row of selectHistory.iterate(fromRevision, prefix, endOfPrefix(prefix))) {
      const rowRevision = Number(row['revision'])
      const full = changes.length >= pageChanges || bytes >= pageBytes
      if (full && rowRevision !== revision) return { changes, revision, compactedRevision }
      revision = rowRevision
      const change = toChange(row)
      bytes += change.kind === 'put' ? change.entry.value.byteLength : 0
      changes.push(change)
    }
    const newest = Math.max(Number(state['revision']), fromRevision)
    return { changes, revision: newest, compactedRevision }
  }
}

function toEntry(row: Row): Entry {
  return {
    key: String(row['key']),
    value: row['value'] as Uint8Array,
    createRevision: Number(row['create_revision']),
    modRevision: Number(row['mod_revision']),
  }
}

function toChange(row: Row): Change {
  const key = String(row['key'])
  const modRevision = Number(row['revision'])
  if (row['value'] === null) return { kind: 'delete', key, modRevision }
  const value = row['value'] as Uint8Array
  const createRevision = Number(row['create_revision'])
  return { kind: 'put', entry: { key, value, createRevision, modRevision } }
}
