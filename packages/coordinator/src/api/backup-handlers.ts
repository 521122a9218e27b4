/** CoordinatorService.BackupCluster: the backup as a stream. */
import { create, type MessageInitShape } from '@bufbuild/protobuf'
import {
  BackupClusterResponseSchema,
  type BackupClusterRequest,
  type BackupClusterResponse,
  type BackupSummary,
} from '@cloudless/api'
import { CloudlessError } from '@cloudless/base'
import type { Backup } from '../backup/backup-file.ts'
import { backupSummaryOf, begunOf, type BackupMaker } from '../backup/backup-maker.ts'
import type { BackupSecret } from '../backup/backup-secret.ts'
import type { Call } from './call.ts'

export interface BackupHandlersDeps {
  readonly backups: BackupMaker
  readonly onMade: (summary: BackupSummary, where: string) => void
}

export function backupHandlers({ backups, onMade }: BackupHandlersDeps) {
  return {
    backupCluster(request: BackupClusterRequest, { signal }: Pick<Call, 'signal'>) {
      return backups.make(secretOf(request), (backup) => messagesOf(backup, signal, onMade))
    },
  }
}

async function* messagesOf(
  backup: Backup,
  signal: AbortSignal,
  onMade: BackupHandlersDeps['onMade'],
): AsyncGenerator<BackupClusterResponse> {
  yield messageOf({ message: { case: 'begun', value: begunOf(backup) } })
  let fileBytes = 0
  for await (const data of backup.chunks) {
    signal.throwIfAborted() // Whoever leads no longer tells nothing of the cluster.
    fileBytes += data.byteLength
    yield messageOf({ message: { case: 'data', value: data } })
  }
  const done = backupSummaryOf(backup, fileBytes)
  onMade(done, 'was sent to who asked for it')
  yield messageOf({ message: { case: 'done', value: done } })
}

function messageOf(
  message: MessageInitShape<typeof BackupClusterResponseSchema>,
): BackupClusterResponse {
  return create(BackupClusterResponseSchema, message)
}

function secretOf({ protection }: BackupClusterRequest): BackupSecret {
  switch (protection.case) {
    case 'passphrase':
      return { kind: 'passphrase', passphrase: protection.value }
    case 'key':
      return { kind: 'key', key: protection.value }
    case 'unencrypted':
      if (protection.value) return { kind: 'none' }
  }
  throw new CloudlessError(
    'invalid_argument',
    'protection: a backup holds the key of the CA: give a passphrase or a key to encrypt it with, or say that it is to be unencrypted',
  )
}
