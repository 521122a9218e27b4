/** What a backup is to be encrypted with, from the files that are named: never from an argument, which others can read. */
import type { MessageInitShape } from '@bufbuild/protobuf'
import type { BackupClusterRequestSchema } from '@cloudless/api'
import { CloudlessError } from '@cloudless/base'
import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import type { CommandContext } from './command.ts'
import { UsageError } from './exit-code.ts'
import type { Option } from './option.ts'
import type { Options } from './options.ts'

export const protectionOptions: readonly Option[] = [
  {
    name: 'passphrase-file',
    kind: 'text',
    value: 'FILE',
    help: 'Encrypt with the passphrase that is the first line of this file',
    completes: 'file',
  },
  {
    name: 'encryption-key-file',
    kind: 'text',
    value: 'FILE',
    help: 'Encrypt with the 32 bytes of this file instead',
    completes: 'file',
  },
  {
    name: 'unencrypted',
    kind: 'flag',
    help: "Do not encrypt: whoever reads the file has the CA's key",
  },
]

type Protection = NonNullable<MessageInitShape<typeof BackupClusterRequestSchema>['protection']>

/** Throws UsageError unless exactly one is given. */
export function protectionFrom(context: CommandContext, options: Options): Protection {
  const passphraseFile = options.text('passphrase-file')
  const keyFile = options.text('encryption-key-file')
  const unencrypted = options.flag('unencrypted')
  const given = [passphraseFile !== undefined, keyFile !== undefined, unencrypted]
  if (given.filter(Boolean).length !== 1) {
    throw new UsageError(
      'a backup holds the key of the CA: say one of --passphrase-file FILE, --encryption-key-file FILE and --unencrypted',
    )
  }
  if (passphraseFile !== undefined) {
    const [line = ''] = read(context, passphraseFile).toString('utf8').split(/\r?\n/, 1)
    return { case: 'passphrase', value: line }
  }
  if (keyFile !== undefined) return { case: 'key', value: read(context, keyFile) }
  context.io.err(
    'warning: the backup is not encrypted: whoever reads it can make certificates of this cluster\n',
  )
  return { case: 'unencrypted', value: true }
}

function read({ workingDirectory }: CommandContext, file: string): Buffer {
  try {
    return readFileSync(resolve(workingDirectory, file))
  } catch (reason) {
    throw CloudlessError.from(reason, `reading ${file}`)
  }
}
