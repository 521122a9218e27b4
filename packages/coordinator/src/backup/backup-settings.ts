/** What the settings say of scheduled backups, checked when the coordinator starts. */
import {
  CloudlessError,
  cronScheduleOf,
  problemWithSchedule,
  type CronSchedule,
} from '@cloudless/base'
import type { CoordinatorSettings } from '../process/settings.ts'
import { secretFrom, type SecretFiles } from './read-backup.ts'

export interface ScheduledBackups extends SecretFiles {
  readonly schedule: CronSchedule
  readonly directory: string
  readonly keep: number
}

/** Undefined when none are asked for. `invalid_argument` names the setting that is wrong or missing. */
export function scheduledBackupsOf(settings: CoordinatorSettings): ScheduledBackups | undefined {
  const text = settings['backup.schedule']
  if (text === '') return undefined
  const problem = problemWithSchedule(text)
  if (problem !== undefined) throw wrong(`backup.schedule: ${problem}`)
  const directory = settings['backup.directory']
  if (directory === '') throw wrong('backup.directory: say where scheduled backups are to be put')
  const files = {
    passphraseFile: settings['backup.passphrase_file'],
    keyFile: settings['backup.encryption_key_file'],
  }
  if (secretFrom(files).kind === 'none') {
    throw wrong(
      "backup.passphrase_file: a backup holds the CA's key: name a file with a passphrase, or a backup.encryption_key_file",
    )
  }
  return {
    ...files,
    schedule: cronScheduleOf(text, '')!,
    directory,
    keep: settings['backup.keep'],
  }
}

function wrong(problem: string): CloudlessError {
  return new CloudlessError('invalid_argument', problem)
}
