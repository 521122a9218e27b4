/** Makes backups of this cluster, a few at a time, and none for ever. */
import { create } from '@bufbuild/protobuf'
import { BackupSummarySchema, type BackupSummary } from '@cloudless/api'
import { CloudlessError, type Clock } from '@cloudless/base'
import { beginBackup, type Backup, type BackupSource } from './backup-file.ts'
import { requireGoodSecret, type BackupSecret } from './backup-secret.ts'

/** Each holds a snapshot of the store and compresses: more would only slow each other down. */
export const backupsAtOnceMax = 2
/** Whoever reads it more slowly holds up the store's tidying: its snapshot ends. */
export const backupMsMax = 30 * 60_000

export class BackupMaker {
  readonly #source: BackupSource
  readonly #clock: Clock
  #running = 0

  constructor(source: BackupSource) {
    this.#source = source
    this.#clock = source.clock
  }

  /**
   * Gives `use` a backup that has begun. `resource_exhausted` when as many are being made as may be; `invalid_argument`
   * when the secret protects too little.
   */
  async *make<T>(
    secret: BackupSecret,
    use: (backup: Backup) => AsyncIterable<T>,
  ): AsyncGenerator<T> {
    requireGoodSecret(secret)
    if (this.#running >= backupsAtOnceMax) {
      throw new CloudlessError(
        'resource_exhausted',
        `${this.#running} backups are being made already: wait until one of them is done`,
      )
    }
    this.#running++
    let backup: Backup | undefined
    let cancel = (): void => undefined
    try {
      const begun = await beginBackup(this.#source, secret)
      backup = begun
      cancel = this.#clock.after(backupMsMax, () => void begun.close())
      yield* use(begun)
    } finally {
      this.#running--
      cancel()
      await backup?.close()
    }
  }
}

/** Of one that was read to its end. */
export function backupSummaryOf(backup: Backup, fileBytes: number): BackupSummary {
  const { entries, bytes, byKind } = backup.summary
  return create(BackupSummarySchema, {
    ...begunOf(backup),
    entries: BigInt(entries),
    metadataBytes: BigInt(bytes),
    fileBytes: BigInt(fileBytes),
    counts: byKind,
  })
}

/** What is known before it is read. */
export function begunOf({ manifest }: Backup): BackupSummary {
  const { clusterId, trustDomain, version, createdAtMs, revision } = manifest
  return create(BackupSummarySchema, {
    ...{ clusterId, trustDomain, version },
    createdAtMs: BigInt(createdAtMs),
    revision: BigInt(revision),
  })
}
