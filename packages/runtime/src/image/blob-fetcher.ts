/** Brings blobs from a registry into containerd's content store; interrupted ones go on where they stood. */
import { backoffDelayMs, CloudlessError, Semaphore, sleep } from '@cloudless/base'
import type { ContainerdClient } from '../containerd/client.ts'
import { callContainerd, callOrAbsent, errorOfContainerd } from '../containerd/errors.ts'
import type { ContainerdRuntimeDeps } from '../options.ts'
import { ContentWriter, refOf } from './content-writer.ts'
import { digestOf, type Descriptor } from './manifest.ts'
import type { ImageReference } from './reference.ts'
import type { RegistryClient } from './registry-client.ts'

export interface FetchOptions {
  readonly leaseId: string
  readonly labels: Readonly<Record<string, string>>
  readonly signal: AbortSignal
  /** Bytes that have come since the last call; negative when some must come again. */
  readonly onBytes: (bytes: number) => void
}

const attemptsMax = 5
const backoff = { delayMsMin: 250, delayMsMax: 8_000 }

export class BlobFetcher {
  readonly #deps: ContainerdRuntimeDeps
  readonly #client: ContainerdClient
  readonly #registry: RegistryClient
  readonly #concurrency: Semaphore
  /** Two images may share a layer, and containerd takes one writer of it. */
  readonly #underWay = new Map<string, Promise<void>>()

  constructor(
    deps: ContainerdRuntimeDeps,
    parts: { readonly client: ContainerdClient; readonly registry: RegistryClient },
    blobConcurrency: number,
  ) {
    this.#deps = deps
    this.#client = parts.client
    this.#registry = parts.registry
    this.#concurrency = new Semaphore(blobConcurrency)
  }

  /** Resolves when the blob is in the store, checked against its digest, and held by the lease. */
  async fetch(image: ImageReference, blob: Descriptor, options: FetchOptions): Promise<void> {
    for (;;) {
      const other = this.#underWay.get(blob.digest)
      if (other === undefined) break
      // Whether it succeeds or not, look for ourselves afterwards.
      await other.catch(() => {})
    }
    const fetching = this.#concurrency.run(() => this.#fetchOnce(image, blob, options))
    this.#underWay.set(blob.digest, fetching)
    try {
      await fetching
    } finally {
      this.#underWay.delete(blob.digest)
    }
  }

  /** Stores what is in memory already. */
  async store(bytes: Uint8Array, blob: Descriptor, options: FetchOptions): Promise<void> {
    if (digestOf(bytes) !== blob.digest) throw wrongDigest(blob)
    if (await this.#isPresent(blob, options)) return
    await this.#write(blob, options, async (writer, offset) => {
      await writer.write(bytes.subarray(offset))
    })
  }

  async #fetchOnce(image: ImageReference, blob: Descriptor, options: FetchOptions): Promise<void> {
    if (await this.#isPresent(blob, options)) {
      options.onBytes(blob.size)
      return
    }
    for (let attempt = 0; ; attempt++) {
      try {
        return await this.#download(image, blob, options)
      } catch (reason) {
        const error = errorOfContainerd(reason, `download ${blob.digest} of ${image.name}`)
        options.signal.throwIfAborted()
        if (error.code === 'corrupt_data') await this.#forget(blob)
        const mayPass = error.retryable && error.code !== 'resource_exhausted'
        if (attempt + 1 >= attemptsMax || !(mayPass || error.code === 'corrupt_data')) throw error
        const delayMs = backoffDelayMs(this.#deps.random, attempt, backoff)
        await sleep(this.#deps.clock, delayMs, options.signal)
      }
    }
  }

  async #download(image: ImageReference, blob: Descriptor, options: FetchOptions): Promise<void> {
    let counted = 0
    const count = (bytes: number): void => {
      counted += bytes
      options.onBytes(bytes)
    }
    try {
      await this.#write(blob, options, async (writer, offset) => {
        count(offset)
        if (offset >= blob.size) return
        const remote = await this.#registry.blob(image, blob, offset, options.signal)
        // A registry that does not know ranges sends everything again.
        let skip = offset - remote.offset
        let total = remote.offset
        for await (const part of remote.body) {
          total += part.length
          if (total > blob.size) throw wrongDigest(blob)
          if (skip >= part.length) {
            skip -= part.length
            continue
          }
          const data = skip > 0 ? part.subarray(skip) : part
          skip = 0
          await writer.write(data)
          count(data.length)
        }
        if (total < blob.size) {
          throw new CloudlessError('unavailable', `it ended after ${total} of ${blob.size} bytes`)
        }
      })
    } catch (reason) {
      options.onBytes(-counted)
      throw reason
    }
  }

  async #write(
    blob: Descriptor,
    options: FetchOptions,
    fill: (writer: ContentWriter, offset: number) => Promise<void>,
  ): Promise<void> {
    const { digest, size } = blob
    const { leaseId, labels, signal } = options
    const writer = new ContentWriter(this.#client, { digest, size, leaseId, labels, signal })
    try {
      const offset = await writer.open()
      if (offset === 'present') return
      await fill(writer, offset)
      await writer.commit()
    } catch (reason) {
      const error = errorOfContainerd(reason, `store ${digest}`)
      if (/unexpected commit (digest|size)/.test(error.message)) throw wrongDigest(blob)
      throw error
    } finally {
      // The failure, if there was one, has been reported; the stream only ends.
      await writer.close().catch(() => {})
    }
  }

  /** Held first and looked for then: what is found unheld may be collected before it is used. */
  async #isPresent(blob: Descriptor, options: FetchOptions): Promise<boolean> {
    const { digest } = blob
    const resource = { id: digest, type: 'content' }
    await callContainerd(`hold ${digest}`, () =>
      this.#client.leases.addResource({ id: options.leaseId, resource }),
    )
    const found = await callOrAbsent(`look for ${digest}`, () =>
      this.#client.content.info({ digest }),
    )
    return found !== undefined
  }

  /** What was written of it is of no use. */
  async #forget(blob: Descriptor): Promise<void> {
    await callOrAbsent(`discard the unfinished ${blob.digest}`, () =>
      this.#client.content.abort({ ref: refOf(blob.digest) }),
    )
  }
}

function wrongDigest(blob: Descriptor): CloudlessError {
  return new CloudlessError(
    'corrupt_data',
    `What the registry sent is not ${blob.digest}: its digest or size differs.`,
  )
}
