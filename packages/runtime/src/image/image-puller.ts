/**
 * Making images present: from the node itself, or from a registry into containerd's store and snapshots.
 *
 * Pulls of one image at the same time are one pull; it goes on while anyone still waits for it.
 */
import { CloudlessError, randomId, Semaphore } from '@cloudless/base'
import { ImagePullPolicy } from '@cloudless/api'
import type { ContainerdClient } from '../containerd/client.ts'
import { callContainerd } from '../containerd/errors.ts'
import type { ContainerdRuntimeDeps, ResolvedOptions } from '../options.ts'
import type { PullOptions, PullProgress } from '../runtime.ts'
import { BlobFetcher } from './blob-fetcher.ts'
import type { ForeignImages } from './foreign-images.ts'
import { ImageDownload } from './image-download.ts'
import type { ImageStore, LocalImage } from './image-store.ts'
import { parseImageReference, type ImageReference } from './reference.ts'
import { RegistryClient } from './registry-client.ts'

interface SharedPull {
  readonly result: Promise<string>
  readonly abort: AbortController
  readonly listeners: Set<(progress: PullProgress) => void>
  waiting: number
}

/** containerd frees what a pull that died had held after this long. */
const leaseLifeMs = 24 * 3_600_000

export interface ImagePullerParts {
  readonly client: ContainerdClient
  readonly store: ImageStore
  readonly foreign: ForeignImages
}

export class ImagePuller {
  readonly #deps: ContainerdRuntimeDeps
  readonly #parts: ImagePullerParts
  readonly #client: ContainerdClient
  readonly #store: ImageStore
  readonly #registry: RegistryClient
  readonly #blobs: BlobFetcher
  readonly #concurrency: Semaphore
  readonly #pulls = new Map<string, SharedPull>()

  constructor(deps: ContainerdRuntimeDeps, parts: ImagePullerParts, options: ResolvedOptions) {
    const { client, store } = parts
    this.#deps = deps
    this.#parts = parts
    this.#client = client
    this.#store = store
    const registry = new RegistryClient(deps, options.registries)
    this.#registry = registry
    this.#blobs = new BlobFetcher(
      deps,
      { client, registry },
      options.blobConcurrency * options.pullConcurrency,
    )
    this.#concurrency = new Semaphore(options.pullConcurrency)
  }

  /** The image on this node; throws not_found. */
  async local(text: string): Promise<LocalImage> {
    const { name } = parseImageReference(text)
    const image = await this.#store.find(name)
    if (image !== undefined) return image
    throw new CloudlessError('not_found', `Image ${name} is not on this node. Pull it first.`)
  }

  /** Makes the snapshots of an image that was imported without them. */
  async unpack(image: LocalImage): Promise<void> {
    await this.#underLease((leaseId) => this.#store.unpack(image, leaseId))
  }

  async pull(text: string, options: PullOptions): Promise<string> {
    const image = parseImageReference(text)
    const policy = effectivePolicy(options.policy, image)
    const local = await this.#store.find(image.name)
    if (local !== undefined && policy !== ImagePullPolicy.ALWAYS) {
      if (!(await this.#store.isUnpacked(local))) await this.unpack(local)
      options.onProgress?.(done(local.digest))
      return local.digest
    }
    if (policy === ImagePullPolicy.NEVER) {
      throw new CloudlessError(
        'not_found',
        `Image ${image.name} is not on this node and image_pull_policy is NEVER. ` +
          'Import it on the node or change the policy.',
      )
    }
    try {
      return await this.#join(image, options)
    } catch (reason) {
      const error = CloudlessError.from(reason)
      const isAway = error.code === 'unavailable' || error.code === 'deadline_exceeded'
      if (local === undefined || !isAway || options.signal.aborted) throw error
      this.#deps.logger.warn(
        { image: image.name, digest: local.digest, err: error },
        'The registry is away; the copy on this node is used',
      )
      if (!(await this.#store.isUnpacked(local))) await this.unpack(local)
      options.onProgress?.(done(local.digest))
      return local.digest
    }
  }

  async #join(image: ImageReference, options: PullOptions): Promise<string> {
    const pull = this.#pulls.get(image.name) ?? this.#begin(image)
    const { signal, onProgress } = options
    pull.waiting++
    if (onProgress !== undefined) pull.listeners.add(onProgress)
    let onAbort = (): void => {}
    try {
      return await new Promise<string>((resolve, reject) => {
        onAbort = () => reject(CloudlessError.from(signal.reason, `Pull of ${image.name}`))
        signal.addEventListener('abort', onAbort, { once: true })
        if (signal.aborted) onAbort()
        pull.result.then(resolve, reject)
      })
    } finally {
      signal.removeEventListener('abort', onAbort)
      if (onProgress !== undefined) pull.listeners.delete(onProgress)
      if (--pull.waiting === 0) pull.abort.abort(new Error('Nobody waits for it any more.'))
    }
  }

  #begin(image: ImageReference): SharedPull {
    const abort = new AbortController()
    const listeners = new Set<(progress: PullProgress) => void>()
    const report = (progress: PullProgress): void => {
      for (const listener of listeners) listener(progress)
    }
    const download = new ImageDownload(
      { ...this.#parts, registry: this.#registry, blobs: this.#blobs },
      image,
      { signal: abort.signal, report },
    )
    const result = this.#concurrency.run(() => this.#underLease((leaseId) => download.run(leaseId)))
    const pull: SharedPull = { result, abort, listeners, waiting: 0 }
    this.#pulls.set(image.name, pull)
    const forget = (): void => {
      if (this.#pulls.get(image.name) === pull) this.#pulls.delete(image.name)
    }
    // An aborted pull takes nobody in any more, though it may still be ending.
    abort.signal.addEventListener('abort', forget)
    result.then(forget, forget)
    return pull
  }

  async #underLease<T>(task: (leaseId: string) => Promise<T>): Promise<T> {
    const id = `cloudless-${randomId(this.#deps.random, 16)}`
    const expiresAt = new Date(this.#deps.clock.wallMs() + leaseLifeMs).toISOString()
    await callContainerd("hold the image from containerd's garbage collector", () =>
      this.#client.leases.create({ id, labels: { 'containerd.io/gc.expire': expiresAt } }),
    )
    try {
      return await task(id)
    } finally {
      await this.#client.leases.delete({ id }).catch((reason: unknown) => {
        // It expires by itself.
        this.#deps.logger.debug({ leaseId: id, err: reason }, 'A lease could not be given back')
      })
    }
  }
}

export function effectivePolicy(policy: ImagePullPolicy, image: ImageReference): ImagePullPolicy {
  if (policy !== ImagePullPolicy.UNSPECIFIED) return policy
  return image.tag === 'latest' && image.digest === ''
    ? ImagePullPolicy.ALWAYS
    : ImagePullPolicy.IF_NOT_PRESENT
}

function done(digest: string): PullProgress {
  return { phase: 'done', bytesDone: 0, bytesTotal: 0, digest }
}
