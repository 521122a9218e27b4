/**
 * A mark in a data directory that a restore has begun and not ended. While it is there nothing in the directory is whole: no
 * coordinator starts on it, and the next restore throws away what the last one left.
 */
import { existsSync, readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { CloudlessError, removeDurably, writeDurably } from '@cloudless/base'

const markName = 'RESTORE-UNFINISHED'
export const restoreLockName = 'restore'

/** `failed_precondition` when a restore did not end. */
export function requireNoUnfinishedRestore(dataDirectory: string): void {
  if (!existsSync(join(dataDirectory, markName))) return
  throw new CloudlessError(
    'failed_precondition',
    `${dataDirectory} holds a restore that did not end: run \`coordinator restore\` again, or empty the directory`,
  )
}

/**
 * Makes the directory empty of what a restore before has left, and marks it. `failed_precondition` when it holds anything
 * else.
 */
export async function beginRestoreIn(dataDirectory: string): Promise<void> {
  const mark = join(dataDirectory, markName)
  const names = readdirSync(dataDirectory).filter(
    (name) => name !== 'lost+found' && !name.startsWith(`${restoreLockName}.lock`),
  )
  if (existsSync(mark)) {
    // All that is here was made after the mark, in a directory that was empty.
    for (const name of names.filter((one) => one !== markName)) {
      rmSync(join(dataDirectory, name), { recursive: true, force: true, maxRetries: 5 })
    }
    return
  }
  if (names.length > 0) {
    throw new CloudlessError(
      'failed_precondition',
      `restoring into ${dataDirectory}: it is not empty (${names.slice(0, 3).join(', ')}). Stop the coordinator that ` +
        'uses it, if one does, and move the directory aside; or name another with --data-dir',
    )
  }
  await writeDurably(mark, 'A restore has begun here and has not ended. No coordinator starts.\n')
}

/** What was restored is whole. */
export async function endRestoreIn(dataDirectory: string): Promise<void> {
  await removeDurably(join(dataDirectory, markName))
}
