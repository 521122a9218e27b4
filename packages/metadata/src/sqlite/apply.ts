/**
 * One operation against the open SQLite transaction of its group. Everything that can refuse an operation is looked at
 * before its first write, so an operation that fails leaves nothing for its neighbours in the group to trip over.
 */
import type { DatabaseSync } from 'node:sqlite'
import { CloudlessError } from '@cloudless/base'
import { endOfPrefix } from '../rules.ts'
import type { Change, Precondition, Transaction, Write } from '../store.ts'
import { toFailureMessage } from './failure.ts'
import type { Operation, Outcome } from './messages.ts'

export interface Revisions {
  readonly revision: number
  /** History before this revision is gone. */
  readonly compactedRevision: number
}

export interface Applied {
  readonly outcome: Outcome
  readonly revisions: Revisions
  /** False when the database is as it was. */
  readonly wrote: boolean
}

export type ApplyOperation = (operation: Operation, before: Revisions) => Applied

export function createApply(database: DatabaseSync): ApplyOperation {
  const select = database.prepare(
    'SELECT create_revision, mod_revision, lease_id FROM entries WHERE key = ?',
  )
  const selectKeys = database.prepare(
    'SELECT key FROM entries WHERE key >= ? AND key < ? ORDER BY key',
  )
  const selectLeased = database.prepare('SELECT key FROM entries WHERE lease_id = ? ORDER BY key')
  const put = database.prepare('INSERT OR REPLACE INTO entries VALUES (?, ?, ?, ?, ?)')
  const remove = database.prepare('DELETE FROM entries WHERE key = ?')
  const remember = database.prepare('INSERT INTO history VALUES (?, ?, ?, ?, ?)')
  const forget = database.prepare('DELETE FROM history WHERE revision < ?')
  const selectLease = database.prepare('SELECT 1 FROM leases WHERE id = ?')
  const grantLease = database.prepare('INSERT INTO leases VALUES (?, ?)')
  const removeLease = database.prepare('DELETE FROM leases WHERE id = ?')

  return (operation, before) => {
    switch (operation.kind) {
      case 'transact':
        return transact(operation.transaction, before)
      case 'grant-lease':
        grantLease.run(operation.leaseId, operation.ttlMs)
        return unchanged(before, true)
      case 'revoke-lease':
        return revokeLease(operation.leaseId, before)
      case 'compact':
        return compact(operation.revision, before)
    }
  }

  function transact(transaction: Transaction, before: Revisions): Applied {
    const failed = transaction.preconditions?.find((precondition) => !holds(precondition))
    if (failed !== undefined) {
      const outcome = { kind: 'refused', revision: before.revision, failed } as const
      return { outcome, revisions: before, wrote: false }
    }
    for (const write of transaction.writes) {
      if (write.kind !== 'put' || write.leaseId === undefined) continue
      if (selectLease.get(write.leaseId) === undefined) return leaseIsGone(write, before)
    }
    const revision = before.revision + 1
    const changes: Change[] = []
    for (const write of transaction.writes) {
      if (write.kind === 'put') changes.push(putEntry(write, revision, changes.length))
      else deleteKeys(keysOf(write), revision, changes)
    }
    return finish(changes, before, false)
  }

  function holds(precondition: Precondition): boolean {
    const row = select.get(precondition.key)
    if (precondition.kind === 'absent') return row === undefined
    if (precondition.kind === 'exists') return row !== undefined
    return row?.['mod_revision'] === precondition.modRevision
  }

  function putEntry(write: Write & { kind: 'put' }, revision: number, sequence: number): Change {
    const createRevision = Number(select.get(write.key)?.['create_revision'] ?? revision)
    put.run(write.key, write.value, createRevision, revision, write.leaseId ?? null)
    remember.run(revision, sequence, write.key, write.value, createRevision)
    const { key, value } = write
    return { kind: 'put', entry: { key, value, createRevision, modRevision: revision } }
  }

  function keysOf(write: Exclude<Write, { kind: 'put' }>): string[] {
    if (write.kind === 'delete') return [write.key]
    const rows = selectKeys.all(write.prefix, endOfPrefix(write.prefix))
    return rows.map((row) => String(row['key']))
  }

  function deleteKeys(keys: readonly string[], revision: number, changes: Change[]): void {
    for (const key of keys) {
      if (remove.run(key).changes === 0) continue
      remember.run(revision, changes.length, key, null, 0)
      changes.push({ kind: 'delete', key, modRevision: revision })
    }
  }

  function revokeLease(leaseId: string, before: Revisions): Applied {
    const existed = removeLease.run(leaseId).changes !== 0
    const keys = selectLeased.all(leaseId).map((row) => String(row['key']))
    const changes: Change[] = []
    deleteKeys(keys, before.revision + 1, changes)
    return finish(changes, before, existed)
  }

  function compact(asked: number, before: Revisions): Applied {
    const compactedRevision = Math.max(
      before.compactedRevision,
      Math.min(asked, before.revision + 1),
    )
    if (compactedRevision === before.compactedRevision) return unchanged(before, false)
    forget.run(compactedRevision)
    return unchanged({ revision: before.revision, compactedRevision }, true)
  }
}

function finish(changes: readonly Change[], before: Revisions, wroteElsewhere: boolean): Applied {
  if (changes.length === 0) return unchanged(before, wroteElsewhere)
  const revision = before.revision + 1
  const outcome = { kind: 'done', revision, changes } as const
  return { outcome, revisions: { ...before, revision }, wrote: true }
}

function unchanged(revisions: Revisions, wrote: boolean): Applied {
  const outcome = { kind: 'done', revision: revisions.revision, changes: [] } as const
  return { outcome, revisions, wrote }
}

function leaseIsGone(write: Write & { kind: 'put' }, before: Revisions): Applied {
  const error = new CloudlessError(
    'failed_precondition',
    `writing ${write.key}: its lease ${write.leaseId} has ended; grant a new one`,
  )
  const outcome = { kind: 'failed', failure: toFailureMessage(error) } as const
  return { outcome, revisions: before, wrote: false }
}
