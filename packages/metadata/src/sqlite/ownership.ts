/**
 * One process per database: a lock that the kernel gives up for us, however we die.
 *
 * The lock is SQLite's own RESERVED lock on a small database beside the real one, held by a transaction that is never
 * committed. While it is held others can still read that database, where the holder has written who it is.
 */
import { hostname } from 'node:os'
import { DatabaseSync } from 'node:sqlite'
import { CloudlessError } from '@cloudless/base'
import { sqliteCodeOf } from './failure.ts'

const busy = 5

/** Takes the lock, or throws `failed_precondition` naming who holds it. Returns its release. */
export function takeOwnership(path: string): () => void {
  const database = new DatabaseSync(`${path}.lock`)
  try {
    database.exec(`PRAGMA synchronous = OFF;
      BEGIN IMMEDIATE;
      CREATE TABLE IF NOT EXISTS holder (one INTEGER PRIMARY KEY CHECK (one = 1), pid, host)`)
    database.prepare('INSERT OR REPLACE INTO holder VALUES (1, ?, ?)').run(process.pid, hostname())
    database.exec('COMMIT; BEGIN IMMEDIATE')
  } catch (reason) {
    const holder = sqliteCodeOf(reason) === busy ? readHolder(database) : undefined
    database.close()
    if (holder === undefined) throw reason
    throw new CloudlessError(
      'failed_precondition',
      `the metadata database ${path} is in use by ${holder}; ` +
        'stop that coordinator first, or give this one another data directory',
      { details: { path, holder } },
    )
  }
  return () => database.close()
}

function readHolder(database: DatabaseSync): string {
  try {
    const row = database.prepare('SELECT pid, host FROM holder').get()
    if (row !== undefined) return `process ${String(row['pid'])} on ${String(row['host'])}`
  } catch {
    // It is just being written: who holds it is not known yet, that it is held is.
  }
  return 'another process'
}
