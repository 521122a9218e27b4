/**
 * A backup: everything needed to bring a cluster back anywhere, in one file that does not depend on the engine.
 *
 *     sealed ( zstd ( length of the manifest (u32), the manifest (JSON), the dump of the metadata ) )
 *
 * The manifest has the CA's files and what the backup is of; see `sealed.ts` and the dump of the metadata package.
 */
import { Readable, pipeline, type Transform } from 'node:stream'
import { createZstdCompress, createZstdDecompress } from 'node:zlib'
import { ByteReader, CloudlessError, systemCodeOf, version, type Clock } from '@cloudless/base'
import type { CaFiles } from '@cloudless/identity'
import { dumpStore, type DumpSummary, type MetadataStore } from '@cloudless/metadata'
import type { BackupSecret } from './backup-secret.ts'
import { parseManifest, type BackupManifest } from './manifest.ts'
import { seal, unseal } from './sealed.ts'

export interface BackupSource {
  readonly store: Pick<MetadataStore, 'snapshot'>
  readonly clock: Clock
  readonly caFiles: () => CaFiles
  readonly clusterId: string
  readonly trustDomain: string
}

export interface Backup {
  readonly manifest: Omit<BackupManifest, 'ca'>
  /** The file; to be read once, to its end or not. */
  readonly chunks: AsyncIterable<Uint8Array>
  /** Of the metadata that was read so far. */
  readonly summary: DumpSummary
  /** Ends it early: what is still read of it fails. Twice is as good as once. */
  close(): Promise<void>
}

/** Keys that live under leases: who leads is of the moment. */
export const prefixesUnderLeases: readonly string[] = ['leadership/']
const manifestBytesMax = 1024 * 1024

/** What is in it is of the moment this resolves, however long it is read. */
export async function beginBackup(
  { store, clock, caFiles, clusterId, trustDomain }: BackupSource,
  secret: BackupSecret,
): Promise<Backup> {
  const ca = caFiles()
  const dump = await dumpStore(store, { withoutPrefixes: prefixesUnderLeases })
  const { revision } = dump
  const manifest = { clusterId, trustDomain, version, createdAtMs: clock.wallMs(), revision }
  async function* plain(): AsyncGenerator<Uint8Array> {
    const json = Buffer.from(JSON.stringify({ ...manifest, ca }))
    const length = Buffer.alloc(4)
    length.writeUInt32BE(json.length)
    yield Buffer.concat([length, json])
    yield* dump.chunks
  }
  async function* chunks(): AsyncGenerator<Uint8Array> {
    try {
      yield* seal(through(plain(), createZstdCompress()), secret)
    } finally {
      await dump.close()
    }
  }
  return {
    manifest,
    chunks: chunks(),
    get summary() {
      return dump.summary
    },
    close: () => dump.close(),
  }
}

export interface OpenBackup {
  readonly manifest: BackupManifest
  /** For `loadStore` or `readDump`, which reject when the file is not whole. */
  readonly dump: AsyncIterable<Uint8Array>
}

/** Throws as `unseal`. */
export async function openBackup(
  chunks: AsyncIterable<Uint8Array>,
  secret: BackupSecret,
): Promise<OpenBackup> {
  const reader = new ByteReader(through(unseal(chunks, secret), createZstdDecompress()))
  try {
    const length = (await reader.take(4))?.readUInt32BE() ?? 0
    const json = length > manifestBytesMax ? undefined : await reader.take(length)
    if (json === undefined) throw new CloudlessError('corrupt_data', 'this backup has no beginning')
    return { manifest: parseManifest(json.toString('utf8')), dump: restOf(reader) }
  } catch (reason) {
    await reader.close()
    throw explain(reason)
  }
}

async function* restOf(reader: ByteReader): AsyncGenerator<Uint8Array> {
  try {
    for (;;) {
      const some = await reader.takeSome()
      if (some === undefined) return
      yield some
    }
  } catch (reason) {
    throw explain(reason)
  } finally {
    await reader.close()
  }
}

/** What fails before the transform is what its reader gets; a reader that leaves ends what is before it. */
function through(
  source: AsyncIterable<Uint8Array>,
  transform: Transform,
): AsyncIterable<Uint8Array> {
  pipeline(Readable.from(source, { objectMode: false }), transform, () => undefined)
  return transform
}

/** The decompressor's own word for what can only be damage. */
function explain(reason: unknown): unknown {
  const isOfTheSystem = /^E[A-Z]+$/.test(systemCodeOf(reason) ?? '')
  if (reason instanceof CloudlessError || isOfTheSystem) return reason
  return new CloudlessError('corrupt_data', 'this backup is damaged: use another', {
    cause: reason,
    details: { reason: 'damaged' },
  })
}
