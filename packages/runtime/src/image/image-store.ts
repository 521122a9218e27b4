/**
 * Images as containerd keeps them: looking one up, and unpacking its layers into snapshots.
 *
 * What an image is follows from its digest, so it is read once and remembered: starting a hundred containers of
 * one image asks containerd a hundred times which digest the name has now, and nothing else.
 */
import { CloudlessError } from '@cloudless/base'
import type { ContainerdClient } from '../containerd/client.ts'
import { underLease } from '../containerd/client.ts'
import { callContainerd, callOrAbsent, isAlreadyThere } from '../containerd/errors.ts'
import { snapshotter } from '../options.ts'
import {
  chainIdsOf,
  documentBytesMax,
  isIndex,
  parseImageConfig,
  parseIndex,
  parseManifest,
  type Descriptor,
  type ImageConfig,
} from './manifest.ts'
import { hostPlatform, noPlatform, platformsOf, selectPlatform } from './platform.ts'

export interface LocalImage {
  readonly name: string
  /** Of what the name points to: an index or a manifest. */
  readonly digest: string
  readonly config: ImageConfig
  readonly layers: readonly Descriptor[]
  /** The snapshot a container of it starts from. */
  readonly chainId: string
}

type ImageContent = Omit<LocalImage, 'name'>

const rememberedMax = 256
/** A large layer on a slow card takes minutes. */
const layerDeadlineMs = 1_800_000

export class ImageStore {
  readonly #client: ContainerdClient
  readonly #contentByDigest = new Map<string, Promise<ImageContent>>()

  constructor(client: ContainerdClient) {
    this.#client = client
  }

  /** Undefined when the image is not here, or not all of it. `name` is a full name. */
  async find(name: string): Promise<LocalImage | undefined> {
    const answer = await callOrAbsent(`look up image ${name}`, () =>
      this.#client.images.get({ name }),
    )
    const target = answer?.image?.target
    if (target === undefined) return undefined
    const content = await this.#contentOf({
      mediaType: target.mediaType,
      digest: target.digest,
      size: Number(target.size),
    })
    return content && { name, ...content }
  }

  /** Makes the snapshots of its layers, those that are there already excepted. Resolves when all are. */
  async unpack(
    image: LocalImage,
    leaseId: string,
    onLayer: (layer: Descriptor) => Promise<void> = async () => {},
  ): Promise<void> {
    const chainIds = chainIdsOf(image.config.diffIds)
    if (await this.isUnpacked(image)) return
    let parent = ''
    for (const [at, chainId] of chainIds.entries()) {
      const layer = image.layers[at]!
      await onLayer(layer)
      await this.#unpackLayer(image, layer, { chainId, parent, leaseId })
      parent = chainId
    }
  }

  async isUnpacked(image: LocalImage): Promise<boolean> {
    const key = image.chainId
    const snapshot = await callOrAbsent(`look for the layers of ${image.name}`, () =>
      this.#client.snapshots.stat({ snapshotter, key }),
    )
    return snapshot !== undefined
  }

  /** Throws `not_found` when it is not on this node. */
  async requiredContent(digest: string): Promise<Uint8Array> {
    const bytes = await this.#readContent(digest)
    if (bytes === undefined) {
      throw new CloudlessError('not_found', `${digest} is not on this node.`)
    }
    return bytes
  }

  async #readContent(digest: string): Promise<Uint8Array | undefined> {
    return callOrAbsent(`read ${digest}`, async () => {
      const parts: Uint8Array[] = []
      let bytes = 0
      for await (const part of this.#client.content.read({ digest })) {
        bytes += part.data.length
        if (bytes > documentBytesMax) {
          throw new CloudlessError('corrupt_data', `${digest} is too large for an image document.`)
        }
        parts.push(part.data)
      }
      return Buffer.concat(parts)
    })
  }

  async #contentOf(target: Descriptor): Promise<ImageContent | undefined> {
    let content = this.#contentByDigest.get(target.digest)
    if (content === undefined) {
      content = this.#readImage(target)
      this.#contentByDigest.set(target.digest, content)
      if (this.#contentByDigest.size > rememberedMax) {
        this.#contentByDigest.delete(this.#contentByDigest.keys().next().value!)
      }
      // A failed read says nothing about the next one.
      content.catch(() => this.#contentByDigest.delete(target.digest))
    }
    try {
      return await content
    } catch (reason) {
      if (reason instanceof CloudlessError && reason.code === 'not_found') return undefined
      throw reason
    }
  }

  async #readImage(target: Descriptor): Promise<ImageContent> {
    const manifestDescriptor = isIndex(target.mediaType)
      ? await this.#selectFromIndex(target)
      : target
    const manifest = parseManifest(
      await this.requiredContent(manifestDescriptor.digest),
      `manifest ${manifestDescriptor.digest}`,
    )
    const what = `configuration ${manifest.config.digest}`
    const config = parseImageConfig(await this.requiredContent(manifest.config.digest), what)
    return { digest: target.digest, config, ...layersAndChain(manifest.layers, config, what) }
  }

  async #selectFromIndex(target: Descriptor): Promise<Descriptor> {
    const entries = parseIndex(await this.requiredContent(target.digest), `index ${target.digest}`)
    const selected = selectPlatform(entries, hostPlatform())
    if (selected === undefined) throw noPlatform(target.digest, platformsOf(entries))
    return selected
  }

  async #unpackLayer(
    image: LocalImage,
    layer: Descriptor,
    snapshot: { chainId: string; parent: string; leaseId: string },
  ): Promise<void> {
    const { chainId, parent, leaseId } = snapshot
    const lease = underLease(leaseId)
    const { snapshots, diff, leases } = this.#client
    const attempt = `unpack layer ${layer.digest} of ${image.name}`
    // Held first and looked for then: what is found unheld may be collected before it is used.
    const resource = { id: chainId, type: `snapshots/${snapshotter}` }
    await callContainerd(attempt, () => leases.addResource({ id: leaseId, resource }))
    const present = await callOrAbsent(attempt, () => snapshots.stat({ snapshotter, key: chainId }))
    if (present !== undefined) return
    // The lease's id makes the key one of this attempt alone.
    const key = `unpack-${leaseId}-${chainId}`
    await callContainerd(attempt, async () => {
      try {
        const { mounts } = await snapshots.prepare({ snapshotter, key, parent }, lease)
        const { mediaType, digest, size } = layer
        await diff.apply(
          { diff: { mediaType, digest, size: BigInt(size) }, mounts },
          { ...lease, timeoutMs: layerDeadlineMs },
        )
        await snapshots.commit({ snapshotter, key, name: chainId }, lease)
      } catch (reason) {
        // What is left of this attempt is the lease's, and goes with it; removing it now only frees space sooner.
        await snapshots.remove({ snapshotter, key }).catch(() => {})
        if (!isAlreadyThere(reason)) throw reason
      }
    })
  }
}

export function layersAndChain(
  layers: readonly Descriptor[],
  config: ImageConfig,
  what: string,
): { layers: readonly Descriptor[]; chainId: string } {
  if (layers.length !== config.diffIds.length || layers.length === 0) {
    throw new CloudlessError(
      'corrupt_data',
      `${what} names ${config.diffIds.length} layers and its manifest ${layers.length}.`,
    )
  }
  return { layers, chainId: chainIdsOf(config.diffIds).at(-1)! }
}
