/** Opening the database for its one writer: owned, undamaged, of this version. */
import { DatabaseSync } from 'node:sqlite'
import { CloudlessError } from '@cloudless/base'
import { explainFailure } from './failure.ts'
import type { DatabaseOptions, OpenedReply } from './messages.ts'
import { takeOwnership } from './ownership.ts'
import { migrate } from './schema.ts'

/** The write-ahead log is cut back to this after a checkpoint. */
const logBytesMax = 16 * 1024 * 1024
/** Of 4 KiB: a checkpoint comes when the log has reached its size, and writes a page that changed often once. */
const logPages = 4_096
/** Only a database that is as large takes it. */
const cacheKibibytes = 32 * 1024

export interface OpenDatabase {
  readonly database: DatabaseSync
  readonly opened: OpenedReply
  /** Also gives up the ownership. */
  close(): void
}

/** Throws `failed_precondition` when another process has it, `corrupt_data` when it is damaged. */
export function openDatabase(options: DatabaseOptions): OpenDatabase {
  const context = { ...options, attempt: 'opening' }
  let releaseOwnership: (() => void) | undefined
  let database: DatabaseSync | undefined
  try {
    releaseOwnership = takeOwnership(options.path)
    database = new DatabaseSync(options.path, { timeout: 5_000 })
    database.exec(`PRAGMA journal_mode = WAL;
      PRAGMA synchronous = FULL;
      PRAGMA journal_size_limit = ${logBytesMax};
      PRAGMA wal_autocheckpoint = ${logPages};
      PRAGMA cache_size = -${cacheKibibytes}`)
    requireSound(database, options.path)
    migrate(database, options.path)
    const opened = readOpened(database)
    return {
      database,
      opened,
      close: () => {
        database?.close()
        releaseOwnership?.()
      },
    }
  } catch (reason) {
    database?.close()
    releaseOwnership?.()
    throw explainFailure(reason, context)
  }
}

/** Looks at every page: a damaged database is refused at start, not found out about in the middle of a failover. */
function requireSound(database: DatabaseSync, path: string): void {
  const verdict = database.prepare('PRAGMA quick_check(1)').get()?.['quick_check']
  if (verdict === 'ok') return
  throw new CloudlessError(
    'corrupt_data',
    `opening the metadata database ${path}: the file is damaged (${String(verdict).replaceAll(/\s+/g, ' ')}). ` +
      `Restore it from a snapshot, or move ${path} and its -wal and -shm files aside to begin an empty cluster`,
    { details: { path } },
  )
}

function readOpened(database: DatabaseSync): OpenedReply {
  const state = database.prepare('SELECT revision, compacted_revision FROM state').get()!
  const leases = database.prepare('SELECT id, ttl_ms FROM leases').all()
  return {
    revision: Number(state['revision']),
    compactedRevision: Number(state['compacted_revision']),
    leases: leases.map((row) => ({ leaseId: String(row['id']), ttlMs: Number(row['ttl_ms']) })),
  }
}
