/** `coordinator recover`: for a coordinator that cannot start any more, because the majority is lost. */
import { existsSync } from 'node:fs'
import { CloudlessError, type Clock, type Random } from '@cloudless/base'
import { openCertificateAuthority } from '@cloudless/identity'
import { createLogger } from '@cloudless/observability'
import { requireNoUnfinishedRestore } from '../backup/unfinished-restore.ts'
import { keyOf } from '../state/records.ts'
import { caDirectoryOf, raftDirectoryOf } from './data-directory.ts'
import { openEtcd } from './engine.ts'
import type { CoordinatorSettings } from './settings.ts'

/** Resolves with what to tell. `failed_precondition` when there is no RAFT member, or it runs. */
export async function recoverCommand(
  deps: { readonly clock: Clock; readonly random: Random },
  yes: boolean,
  settings: CoordinatorSettings,
): Promise<string> {
  const { data_dir: directory } = settings
  requireNoUnfinishedRestore(directory)
  if (!existsSync(raftDirectoryOf(directory))) {
    throw new CloudlessError(
      'failed_precondition',
      `${directory} has no part of a RAFT group: there is nothing to recover; say the right --data-dir`,
    )
  }
  const id = settings['raft.id']
  if (!yes) {
    throw new CloudlessError(
      'invalid_argument',
      `coordinator "${id}" would become the only one, with what ${directory} has, and all others be left out for good: ` +
        'say --yes when their majority is lost',
    )
  }
  const logger = createLogger({ name: 'coordinator', level: 'warn' })
  const authority = await openCertificateAuthority(deps, {
    directory: caDirectoryOf(directory),
    trustDomain: settings['tls.trust_domain'],
  })
  const engine = await openEtcd({ ...deps, logger, authority }, settings, { kind: 'recover' })
  try {
    const { entries, revision } = await engine.store.list(keyOf('coordinator', ''))
    const others = entries.map(({ key }) => key).filter((key) => key !== keyOf('coordinator', id))
    await engine.store.transact({ writes: others.map((key) => ({ kind: 'delete', key })) })
    const removed = others.map((key) => key.slice(keyOf('coordinator', '').length))
    return (
      `coordinator "${id}" is the only one now, with all metadata up to revision ${revision}. Start it as always.` +
      (removed.length === 0
        ? ''
        : `\nNo coordinators any more: ${removed.join(', ')}. Empty the data directory of each before it joins again.`)
    )
  } finally {
    await engine.close()
  }
}
