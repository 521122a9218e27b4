/**
 * The tables, and how a database of an older version becomes one of this version. Forward only: a database written by
 * a newer program is refused, because we cannot know what its rows mean.
 */
import type { DatabaseSync } from 'node:sqlite'
import { CloudlessError } from '@cloudless/base'

/** SQLite's application_id of our files ("ClDl"), so that another program's database is not taken for ours. */
const applicationId = 0x436c446c

/** Step n brings a database from version n to version n + 1. A step that was released is never changed. */
export const migrations: readonly string[] = [
  `CREATE TABLE entries (
     key TEXT PRIMARY KEY,
     value BLOB NOT NULL,
     create_revision INTEGER NOT NULL,
     mod_revision INTEGER NOT NULL,
     lease_id TEXT
   ) WITHOUT ROWID;
   CREATE INDEX entries_by_lease ON entries (lease_id) WHERE lease_id IS NOT NULL;

   -- What watches from a revision are served from; value is NULL for a deletion.
   CREATE TABLE history (
     revision INTEGER NOT NULL,
     sequence INTEGER NOT NULL,
     key TEXT NOT NULL,
     value BLOB,
     create_revision INTEGER NOT NULL,
     PRIMARY KEY (revision, sequence)
   ) WITHOUT ROWID;

   CREATE TABLE leases (id TEXT PRIMARY KEY, ttl_ms INTEGER NOT NULL) WITHOUT ROWID;

   -- One row. History up to compacted_revision is gone.
   CREATE TABLE state (
     one INTEGER PRIMARY KEY CHECK (one = 1),
     revision INTEGER NOT NULL,
     compacted_revision INTEGER NOT NULL
   );
   INSERT INTO state VALUES (1, 0, 0);`,
]

/**
 * Brings the database to the newest version, each step in a transaction of its own. Returns the version it had.
 * Throws `failed_precondition` for a database of another program or of a newer version of this one.
 */
export function migrate(
  database: DatabaseSync,
  path: string,
  steps: readonly string[] = migrations,
): number {
  const found = readPragma(database, 'user_version')
  const owner = readPragma(database, 'application_id')
  if (owner !== applicationId && (owner !== 0 || found !== 0 || hasTables(database))) {
    throw new CloudlessError(
      'failed_precondition',
      `${path} is an SQLite database of another program; give the coordinator a path of its own`,
    )
  }
  if (found > steps.length) {
    throw new CloudlessError(
      'failed_precondition',
      `${path} was written by a newer version (schema ${found}, this program knows ${steps.length}); ` +
        'run that version, or restore a snapshot taken before the upgrade',
      { details: { foundVersion: found, knownVersion: steps.length } },
    )
  }
  for (let version = found; version < steps.length; version++) {
    database.exec(`BEGIN IMMEDIATE;
      ${steps[version]};
      PRAGMA application_id = ${applicationId};
      PRAGMA user_version = ${version + 1};
      COMMIT`)
  }
  return found
}

function hasTables(database: DatabaseSync): boolean {
  return database.prepare('SELECT 1 FROM sqlite_schema LIMIT 1').get() !== undefined
}

function readPragma(database: DatabaseSync, name: 'user_version' | 'application_id'): number {
  return Number(database.prepare(`PRAGMA ${name}`).get()![name])
}
