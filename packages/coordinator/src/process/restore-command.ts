/** `coordinator restore`: from a backup to a data directory that the next start serves. */
import { CloudlessError, formatBytes, type Clock, type Random } from '@cloudless/base'
import { createLogger } from '@cloudless/observability'
import { checkBackup, secretFrom, type CheckedBackup } from '../backup/read-backup.ts'
import { restore } from '../backup/restore.ts'
import type { CoordinatorSettings } from './settings.ts'

export interface RestoreCommand {
  readonly from: string
  readonly check: boolean
  /** Paths; empty: not given. */
  readonly passphraseFile: string
  readonly keyFile: string
}

/** Resolves with what to tell. */
export async function restoreCommand(
  deps: { readonly clock: Clock; readonly random: Random },
  { from, check, ...secretFiles }: RestoreCommand,
  settings: CoordinatorSettings,
): Promise<string> {
  if (from === '') throw new CloudlessError('invalid_argument', '--from FILE is needed')
  const secret = secretFrom(secretFiles)
  if (check) return `${from} is whole\n${describe(await checkBackup(from, secret))}`
  const logger = createLogger({ name: 'coordinator', level: 'warn' })
  const restored = await restore({ ...deps, logger }, { from, secret, settings })
  const engine = settings['raft.bootstrap'] ? 'a RAFT group of one' : 'SQLite'
  return (
    `restored into ${settings.data_dir}, with ${engine}\n${describe(restored)}\n` +
    'What changed in the cluster after that time is not in it. Start the coordinator as always: the nodes come back by ' +
    'themselves.'
  )
}

function describe({ manifest, summary }: CheckedBackup): string {
  const { clusterId, trustDomain, createdAtMs, version } = manifest
  const kinds = ['nodes', 'workloads', 'replicas', 'join-tokens', 'events']
  const counts = kinds.map((kind) => `${summary.byKind[kind] ?? 0} ${kind}`).join(', ')
  return [
    `  cluster   ${clusterId} (trust domain ${trustDomain})`,
    `  of        ${new Date(createdAtMs).toISOString()}, by version ${version}`,
    `  revision  ${summary.revision}`,
    `  holds     the CA; ${counts}; ${summary.entries} entries (${formatBytes(summary.bytes)}) in all`,
  ].join('\n')
}
