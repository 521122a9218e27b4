/**
 * The images on this node, and what each is made for.
 *
 * All of it follows from containerd's store, so a restarted agent says the same as before. An image's documents are read
 * once: they never change under their digest.
 */
import { CloudlessError, Semaphore } from '@cloudless/base'
import type { ContainerdClient } from '../containerd/client.ts'
import { callContainerd } from '../containerd/errors.ts'
import { unixMsOf } from '../container/timestamp.ts'
import type { ImageInfo } from '../runtime.ts'
import type { ImageStore } from './image-store.ts'
import {
  isIndex,
  parseConfigPlatform,
  parseIndex,
  parseManifest,
  type Descriptor,
} from './manifest.ts'
import { formatPlatform, hostPlatform, platformsOf, selectPlatform } from './platform.ts'

type ImageContent = Pick<ImageInfo, 'bytes' | 'platforms'>

/** containerd has other work. */
const readsMax = 4

export class ImageListing {
  readonly #client: ContainerdClient
  readonly #store: Pick<ImageStore, 'requiredContent'>
  readonly #reads = new Semaphore(readsMax)
  /** Of the images that were there when last listed. */
  #contentByDigest: ReadonlyMap<string, ImageContent> = new Map()

  constructor(client: ContainerdClient, store: Pick<ImageStore, 'requiredContent'>) {
    this.#client = client
    this.#store = store
  }

  async list(): Promise<readonly ImageInfo[]> {
    const { images } = await callContainerd('list the images', () => this.#client.images.list({}))
    const known = new Map<string, ImageContent>()
    const listed = await Promise.all(
      images.map(async ({ name, target, createdAt }) => {
        const content = target && (await this.#contentOf(target))
        if (content !== undefined) known.set(target!.digest, content)
        const { bytes = 0, platforms = [] } = content ?? {}
        const createdAtMs = unixMsOf(createdAt)
        return { name, digest: target?.digest ?? '', bytes, platforms, createdAtMs }
      }),
    )
    this.#contentByDigest = known
    return listed
  }

  /** Undefined when not all of its documents are here: it is still there to be listed. */
  async #contentOf(target: Pick<Descriptor, 'digest' | 'mediaType'>) {
    const known = this.#contentByDigest.get(target.digest)
    if (known !== undefined) return known
    try {
      return await this.#reads.run(() => this.#read(target))
    } catch (reason) {
      const { code } = CloudlessError.from(reason)
      if (code === 'not_found' || code === 'corrupt_data') return undefined
      throw reason
    }
  }

  async #read({ digest, mediaType }: Pick<Descriptor, 'digest' | 'mediaType'>) {
    const bytes = await this.#store.requiredContent(digest)
    if (!isIndex(mediaType)) return this.#readManifest(bytes, digest)
    const entries = parseIndex(bytes, `index ${digest}`)
    const own = selectPlatform(entries, hostPlatform())
    const platforms = platformsOf(entries)
    if (own === undefined) return { bytes: 0, platforms }
    const manifest = await this.#store.requiredContent(own.digest)
    return { bytes: layerBytesOf(manifest, own.digest), platforms }
  }

  async #readManifest(bytes: Uint8Array, digest: string): Promise<ImageContent> {
    const { config } = parseManifest(bytes, `manifest ${digest}`)
    const document = await this.#store.requiredContent(config.digest)
    const platform = parseConfigPlatform(document, `configuration ${config.digest}`)
    const platforms = platform === undefined ? [] : [formatPlatform(platform)]
    return { bytes: layerBytesOf(bytes, digest), platforms }
  }
}

function layerBytesOf(manifest: Uint8Array, digest: string): number {
  const { layers } = parseManifest(manifest, `manifest ${digest}`)
  return layers.reduce((sum, layer) => sum + layer.size, 0)
}
