/** `cluster backup`: everything that is needed to bring the cluster back, in one file. */
import type { BackupClusterResponse, BackupSummary } from '@cloudless/api'
import { CloudlessError, formatBytes, writeDurably } from '@cloudless/base'
import { resolve } from 'node:path'
import { protectionFrom, protectionOptions } from '../backup-protection.ts'
import type { Command, CommandContext } from '../command.ts'
import { facts } from '../output/sheet.ts'
import { bytes, instant } from '../resources/format.ts'
import { parseS3Target } from '../s3/s3-target.ts'
import { Progress } from '../wait/progress.ts'

export const clusterBackup: Command = {
  description:
    'Makes a backup: all metadata at one moment and the CA, in one encrypted file that does not depend on the engine.\n' +
    '`coordinator restore` brings the cluster back from it. The file appears only when it is whole. Without its\n' +
    'passphrase or key nobody can read it, you included: keep that elsewhere.',
  examples: [
    {
      title: 'Into a file',
      line: 'cloudlessctl cluster backup --to today.backup --passphrase-file ~/backup.passphrase',
    },
    {
      title: 'Into an object store, with AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY',
      line: 'cloudlessctl cluster backup --to s3://backups/today --s3-endpoint https://nas:9000 --passphrase-file p',
    },
    {
      title: 'To another machine',
      line: 'cloudlessctl cluster backup --to - --encryption-key-file backup.key | ssh nas "cat > today.backup"',
    },
  ],
  arguments: [],
  options: [
    {
      name: 'to',
      kind: 'text',
      value: 'FILE|-|s3://BUCKET/KEY',
      help: 'Where to, - being stdout; a file named for cluster and time when not given',
      completes: 'file',
    },
    {
      name: 's3-endpoint',
      kind: 'text',
      value: 'URL',
      help: 'Of the object store for s3://; that of AWS_ENDPOINT_URL, or Amazon when not given',
    },
    ...protectionOptions,
  ],

  async run(context, { options }) {
    const protection = protectionFrom(context, options)
    const asked = options.text('to')
    const endpoint = options.text('s3-endpoint')
    const target = asked && parseS3Target(asked, endpoint, context.environment)
    const { coordinator } = await context.connect()
    const { signal } = context
    const stream = coordinator.backupCluster({ protection }, { signal, timeoutMs: 0 })
    const received = new Received(context, stream)
    const begun = await received.begin()
    const to = asked ?? fileNameOf(begun)
    if (target) {
      const { uploadToS3 } = await import('../s3/s3-upload.ts')
      await uploadToS3(target, received.data(), { signal })
      context.io.out(describe(received.done, to))
    } else if (to === '-') {
      for await (const data of received.data()) {
        context.io.out(data)
        await context.io.drained()
      }
      context.io.err(describe(received.done, 'stdout'))
    } else {
      await writeDurably(resolve(context.workingDirectory, to), received.data())
      context.io.out(describe(received.done, to))
    }
    return 0
  },
}

/** The stream of the call, in the order that the contract gives. */
class Received {
  readonly #messages: AsyncIterator<BackupClusterResponse>
  readonly #progress: Progress | undefined
  #done: BackupSummary | undefined

  constructor({ io }: CommandContext, stream: AsyncIterable<BackupClusterResponse>) {
    this.#messages = stream[Symbol.asyncIterator]()
    this.#progress = io.errorIsTerminal ? new Progress(io) : undefined
  }

  get done(): BackupSummary {
    if (this.#done === undefined) throw brokenOff()
    return this.#done
  }

  async begin(): Promise<BackupSummary> {
    const { value } = await this.#messages.next()
    const message = (value as BackupClusterResponse | undefined)?.message
    if (message?.case === 'begun') return message.value
    throw brokenOff()
  }

  /** Throws when it ends before it is whole. */
  async *data(): AsyncGenerator<Uint8Array> {
    let received = 0
    for (;;) {
      const { value, done } = await this.#messages.next()
      if (done) throw brokenOff()
      const { message } = value
      if (message.case === 'done') {
        this.#done = message.value
        return
      }
      if (message.case !== 'data') continue
      received += message.value.byteLength
      this.#progress?.show('backup', [`${formatBytes(received)} received`])
      yield message.value
    }
  }
}

function brokenOff(): CloudlessError {
  return new CloudlessError(
    'unavailable',
    'the backup ended before it was whole, and nothing of it was kept. Try again.',
  )
}

function fileNameOf({ clusterId, createdAtMs }: BackupSummary): string {
  const time = new Date(Number(createdAtMs)).toISOString().replaceAll(/[-:]|\.\d+/g, '')
  return `${clusterId}-${time}.backup`
}

function describe(summary: BackupSummary, to: string): string {
  return facts([
    ['Backup', to],
    ['Cluster', summary.clusterId],
    ['Of', instant(summary.createdAtMs)],
    ['Revision', String(summary.revision)],
    ['Size', `${bytes(summary.fileBytes)} (${bytes(summary.metadataBytes)} of metadata)`],
    ['Holds', `the CA; ${contentsOf(summary)}`],
  ])
}

function contentsOf({ counts, entries }: BackupSummary): string {
  const kinds = ['nodes', 'workloads', 'replicas', 'revisions', 'join-tokens', 'events']
  const named = kinds.map((kind) => `${counts[kind] ?? 0} ${kind}`)
  return `${named.join(', ')}; ${entries} entries in all`
}
