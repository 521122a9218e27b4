/**
 * Moves the metadata of the only coordinator from SQLite into a RAFT group of one, or back, while it does not run.
 *
 * The copy is made beside what is there, and put in its place by renaming: whether there is a RAFT directory decides from
 * which of the two a coordinator starts. What was copied from is kept under another name. A crash at any moment leaves the
 * one or the other, whole.
 */
import { existsSync, readdirSync, renameSync, rmSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { CloudlessError, type Clock, type Random } from '@cloudless/base'
import { openCertificateAuthority, syncDirectorySync } from '@cloudless/identity'
import { dumpStore, loadStore, type MetadataStore } from '@cloudless/metadata'
import type { Logger } from '@cloudless/observability'
import { prefixesUnderLeases } from '../backup/backup-file.ts'
import { requireAlone } from '../raft/require-alone.ts'
import { keyOf } from '../state/records.ts'
import { caDirectoryOf, metadataPathOf, raftDirectoryOf } from './data-directory.ts'
import { openEtcd, openSqlite, type Engine, type EngineDeps, type EngineKind } from './engine.ts'
import type { CoordinatorSettings } from './settings.ts'

export interface ChangeEngineDeps {
  readonly clock: Clock
  readonly random: Random
  readonly logger: Logger
}

export async function changeEngine(
  deps: ChangeEngineDeps,
  settings: CoordinatorSettings,
  to: EngineKind,
): Promise<void> {
  const directory = caDirectoryOf(settings.data_dir)
  const trustDomain = settings['tls.trust_domain']
  const authority = await openCertificateAuthority(deps, { directory, trustDomain })
  const whole = { ...deps, authority }
  const suffix = `before-${to}-${deps.clock.wallMs()}`
  await (to === 'etcd' ? promote(whole, settings, suffix) : demote(whole, settings, suffix))
}

async function promote(
  deps: EngineDeps,
  settings: CoordinatorSettings,
  suffix: string,
): Promise<void> {
  const raft = raftDirectoryOf(settings.data_dir)
  const staging = `${raft}.new`
  rmSync(staging, { recursive: true, force: true })
  await copy(
    () => openSqlite(deps, settings),
    () => openEtcd(deps, settings, { kind: 'new' }, { directory: staging }),
    prefixesUnderLeases,
  )
  renameDurably(staging, raft)
  const metadata = metadataPathOf(settings.data_dir)
  renameDurably(metadata, `${metadata}.${suffix}`)
}

async function demote(
  deps: EngineDeps,
  settings: CoordinatorSettings,
  suffix: string,
): Promise<void> {
  const metadata = metadataPathOf(settings.data_dir)
  const staging = `${metadata}.new`
  removeDatabase(staging)
  await copy(
    () => openAlone(deps, settings),
    () => openSqlite(deps, settings, staging),
    // There is one coordinator, and nobody to tell where it is.
    [...prefixesUnderLeases, keyOf('coordinator', '')],
  )
  removeDatabase(metadata)
  renameDurably(staging, metadata)
  const raft = raftDirectoryOf(settings.data_dir)
  renameDurably(raft, `${raft}.${suffix}`)
}

async function openAlone(deps: EngineDeps, settings: CoordinatorSettings): Promise<Engine> {
  const engine = await openEtcd(deps, settings, { kind: 'new' })
  try {
    requireAlone(await engine.raft!.cluster.members(), settings['raft.id'])
    return engine
  } catch (reason) {
    await engine.close()
    throw reason
  }
}

async function copy(
  openFrom: () => Promise<Engine>,
  openTo: () => Promise<Engine>,
  withoutPrefixes: readonly string[],
): Promise<void> {
  await using opened = new AsyncDisposableStack()
  const from = await openFrom()
  opened.defer(() => from.close())
  const to = await openTo()
  opened.defer(() => to.close())
  await copyStore(from.store, to.store, withoutPrefixes)
}

async function copyStore(
  from: MetadataStore,
  to: MetadataStore,
  withoutPrefixes: readonly string[],
): Promise<void> {
  const dump = await dumpStore(from, { withoutPrefixes })
  const { entries } = await loadStore(to, dump.chunks)
  const { entries: stored } = await countOf(to)
  if (stored === entries) return
  throw new CloudlessError(
    'corrupt_data',
    `of ${entries} entries of the metadata ${stored} arrived: nothing was changed; try again`,
  )
}

async function countOf(store: MetadataStore): Promise<{ readonly entries: number }> {
  let entries = 0
  for (let afterKey = ''; ;) {
    const page = await store.list('', { limit: 5_000, afterKey })
    entries += page.entries.length
    if (!page.more) return { entries }
    afterKey = page.entries.at(-1)!.key
  }
}

function renameDurably(from: string, to: string): void {
  renameSync(from, to)
  syncDirectorySync(dirname(to))
}

/** With what SQLite keeps beside it. */
function removeDatabase(path: string): void {
  const directory = dirname(path)
  if (!existsSync(directory)) return
  const own = new Set(['', '-wal', '-shm', '.lock'].map((end) => `${basename(path)}${end}`))
  for (const name of readdirSync(directory)) {
    if (own.has(name)) rmSync(join(directory, name), { force: true })
  }
}
