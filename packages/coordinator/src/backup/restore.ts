/**
 * Makes a coordinator's data directory out of a backup, while no coordinator runs: the CA, and the metadata in SQLite or in
 * a RAFT group of one.
 *
 * The file is read to its end before anything is made, and again to load it. A mark in the directory says that it is not
 * whole yet, and goes last: a restore that was killed leaves a directory that nothing starts on, and that the next restore
 * begins anew.
 *
 * Not restored: who led, and which coordinators there were. What a restored RAFT group is called in etcd is new, so that
 * members of the old group that still run somewhere cannot take it for theirs.
 */
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import type { ClusterRecord } from '@cloudless/api'
import {
  CloudlessError,
  makePrivateDirectory,
  randomId,
  type Clock,
  type Random,
} from '@cloudless/base'
import { openCertificateAuthority, storeCaFiles } from '@cloudless/identity'
import { loadStore, takeOwnership, type MetadataStore } from '@cloudless/metadata'
import { EventLog, type Logger } from '@cloudless/observability'
import { caDirectoryOf } from '../process/data-directory.ts'
import { openEtcd, openSqlite, type Engine } from '../process/engine.ts'
import type { CoordinatorSettings } from '../process/settings.ts'
import { clusterRecordId } from '../state/cluster-record.ts'
import { encodeRecord, keyOf, RecordDecoder } from '../state/records.ts'
import { prefixesUnderLeases } from './backup-file.ts'
import type { BackupSecret } from './backup-secret.ts'
import type { BackupManifest } from './manifest.ts'
import { checkBackup, readBackup, type CheckedBackup } from './read-backup.ts'
import { beginRestoreIn, endRestoreIn, restoreLockName } from './unfinished-restore.ts'

export interface RestoreDeps {
  readonly clock: Clock
  readonly random: Random
  readonly logger: Logger
}

export interface RestoreOptions {
  /** Path of the backup. */
  readonly from: string
  readonly secret: BackupSecret
  /** With `raft.bootstrap` the metadata goes into etcd. */
  readonly settings: CoordinatorSettings
}

const notRestored = [...prefixesUnderLeases, 'coordinators/']

/** `failed_precondition` when the directory is not empty, or the settings name another trust domain than the backup. */
export async function restore(deps: RestoreDeps, options: RestoreOptions): Promise<CheckedBackup> {
  const { from, secret, settings } = options
  const { data_dir: directory } = settings
  const checked = await checkBackup(from, secret)
  requireTrustDomain(checked, settings)
  makePrivateDirectory(directory)
  const release = takeLock(directory)
  try {
    await beginRestoreIn(directory)
    storeCaFiles(caDirectoryOf(directory), checked.manifest.ca)
    await restoreMetadata(deps, options, checked)
    await endRestoreIn(directory)
  } finally {
    release()
  }
  return checked
}

async function restoreMetadata(
  deps: RestoreDeps,
  { from, secret, settings }: RestoreOptions,
  { manifest }: CheckedBackup,
): Promise<void> {
  const engine = await openEmpty(deps, settings)
  try {
    const loaded = await readBackup(from, secret, ({ dump }) =>
      loadStore(engine.store, dump, { withoutPrefixes: notRestored }),
    )
    if (loaded.revision !== manifest.revision) {
      throw new CloudlessError('corrupt_data', `the backup ${from} has changed while it was read`)
    }
    await recordRestore(engine.store, {
      restoredAtMs: BigInt(deps.clock.wallMs()),
      restoredFromMs: BigInt(manifest.createdAtMs),
    })
    await tellRestore({ ...deps, store: engine.store }, settings, manifest)
  } finally {
    await engine.close()
  }
}

async function openEmpty(deps: RestoreDeps, settings: CoordinatorSettings): Promise<Engine> {
  const authority = await openCertificateAuthority(deps, {
    directory: caDirectoryOf(settings.data_dir),
    trustDomain: settings['tls.trust_domain'],
  })
  const whole = { ...deps, authority }
  if (!settings['raft.bootstrap']) return openSqlite(whole, settings)
  const groupName = `${authority.fingerprint}-${randomId(deps.random, 12)}`
  return openEtcd(whole, settings, { kind: 'new' }, { groupName })
}

async function recordRestore(
  store: MetadataStore,
  when: Pick<ClusterRecord, 'restoredAtMs' | 'restoredFromMs'>,
): Promise<void> {
  const key = keyOf('cluster', clusterRecordId)
  const entry = await store.get(key)
  if (entry === undefined) {
    throw new CloudlessError('corrupt_data', 'this backup has no record of its cluster')
  }
  const record = new RecordDecoder().decode('cluster', key, entry.value)
  const value = encodeRecord('cluster', Object.assign(record, when))
  await store.transact({ writes: [{ kind: 'put', key, value }] })
}

async function tellRestore(
  deps: RestoreDeps & { readonly store: MetadataStore },
  settings: CoordinatorSettings,
  { clusterId, createdAtMs, revision }: BackupManifest,
): Promise<void> {
  const events = await EventLog.open(deps, {
    systemId: settings['raft.id'],
    eventsMax: settings['observability.events_max'],
  })
  const of = new Date(createdAtMs).toISOString()
  events.append({
    type: 'cluster.restored',
    resourceType: 'cluster',
    resourceId: clusterId,
    description: `the cluster was restored from a backup of ${of}, revision ${revision}`,
  })
  await events.flush()
  await events.close()
}

function requireTrustDomain({ manifest }: CheckedBackup, settings: CoordinatorSettings): void {
  const { trustDomain } = manifest
  if (settings['tls.trust_domain'] === trustDomain) return
  throw new CloudlessError(
    'failed_precondition',
    `the backup is of the trust domain "${trustDomain}": restore it, and start afterwards, with ` +
      `--tls-trust-domain ${trustDomain}`,
  )
}

/** Of two restores at once into one directory, the second is refused. */
function takeLock(directory: string): () => void {
  const path = join(directory, restoreLockName)
  let release: () => void
  try {
    release = takeOwnership(path)
  } catch (reason) {
    const { code, details } = CloudlessError.from(reason)
    if (code !== 'failed_precondition')
      throw CloudlessError.from(reason, `restoring into ${directory}`)
    throw new CloudlessError(
      'failed_precondition',
      `another restore into ${directory} is going on (${details['holder']}): wait until it has ended`,
      { cause: reason },
    )
  }
  return () => {
    release()
    rmSync(`${path}.lock`, { force: true })
  }
}
