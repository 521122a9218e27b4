/** One pull of one image: resolve, download, unpack, name. */
import { CloudlessError } from '@cloudless/base'
import type { ContainerdClient } from '../containerd/client.ts'
import { callContainerd, errorOfContainerd, isAlreadyThere } from '../containerd/errors.ts'
import { snapshotter } from '../options.ts'
import type { PullProgress } from '../runtime.ts'
import type { BlobFetcher, FetchOptions } from './blob-fetcher.ts'
import type { ForeignImages } from './foreign-images.ts'
import { layersAndChain, type ImageStore, type LocalImage } from './image-store.ts'
import {
  digestOf,
  isIndex,
  parseConfigPlatform,
  parseImageConfig,
  parseIndex,
  parseManifest,
  type Descriptor,
} from './manifest.ts'
import {
  formatPlatform,
  hostPlatform,
  isSameKind,
  noPlatform,
  platformsOf,
  selectPlatform,
} from './platform.ts'
import type { ImageReference } from './reference.ts'
import type { RegistryClient } from './registry-client.ts'

export interface DownloadParts {
  readonly client: ContainerdClient
  readonly registry: RegistryClient
  readonly blobs: BlobFetcher
  readonly store: ImageStore
  readonly foreign: ForeignImages
}

export interface DownloadOptions {
  readonly signal: AbortSignal
  readonly report: (progress: PullProgress) => void
}

/** A document and what names it. */
interface Document {
  readonly bytes: Uint8Array
  readonly descriptor: Descriptor
}

const gcReference = 'containerd.io/gc.ref'

export class ImageDownload {
  readonly #parts: DownloadParts
  readonly #image: ImageReference
  readonly #options: DownloadOptions
  #progress: PullProgress = { phase: 'resolving', bytesDone: 0, bytesTotal: 0, digest: '' }

  constructor(parts: DownloadParts, image: ImageReference, options: DownloadOptions) {
    this.#parts = parts
    this.#image = image
    this.#options = options
  }

  /** Resolves with the digest of what the name points to. */
  async run(leaseId: string): Promise<string> {
    this.#report({})
    const target = await this.#fetchDocument(this.#image.digest || this.#image.tag)
    this.#report({ digest: target.descriptor.digest })
    const local = await this.#parts.store.find(this.#image.name)
    const isSame = local?.digest === target.descriptor.digest
    if (!isSame || !(await this.#parts.store.isUnpacked(local))) {
      await this.#fetchContent(target, leaseId)
      await this.#name(target.descriptor)
    }
    this.#parts.foreign.delete(this.#image.name)
    this.#report({ phase: 'done' })
    return target.descriptor.digest
  }

  async #fetchContent(target: Document, leaseId: string): Promise<void> {
    const manifestDocument = isIndex(target.descriptor.mediaType)
      ? await this.#selectManifest(target)
      : target
    const what = `manifest ${manifestDocument.descriptor.digest}`
    const manifest = parseManifest(manifestDocument.bytes, what)
    const blobs = [manifest.config, ...manifest.layers]
    const bytesTotal = blobs.reduce((sum, blob) => sum + blob.size, 0)
    this.#report({ phase: 'downloading', bytesTotal })

    const stop = new AbortController()
    const signal = AbortSignal.any([this.#options.signal, stop.signal])
    const fetch = (blob: Descriptor): Promise<void> =>
      this.#parts.blobs.fetch(this.#image, blob, this.#fetchOptions(leaseId, {}, signal))
    try {
      await fetch(manifest.config)
      const image = await this.#describe(target, manifest.config, manifest.layers)
      const layers = new Map(manifest.layers.map((layer) => [layer.digest, fetch(layer)]))
      for (const layer of layers.values()) layer.catch(() => stop.abort())
      await this.#parts.store.unpack(image, leaseId, (layer) => layers.get(layer.digest)!)
      await Promise.all(layers.values())
      await this.#store(leaseId, target, manifestDocument, image, manifest.config)
    } catch (reason) {
      stop.abort()
      throw reason
    }
  }

  async #describe(
    target: Document,
    configDescriptor: Descriptor,
    layers: readonly Descriptor[],
  ): Promise<LocalImage> {
    const what = `configuration ${configDescriptor.digest}`
    const bytes = await this.#parts.store.requiredContent(configDescriptor.digest)
    if (!isIndex(target.descriptor.mediaType)) this.#requireForHost(bytes, what)
    const config = parseImageConfig(bytes, what)
    const { digest } = target.descriptor
    return { name: this.#image.name, digest, config, ...layersAndChain(layers, config, what) }
  }

  /** An index has said what its entries are for, and configurations are often wrong; without one there is nothing else. */
  #requireForHost(config: Uint8Array, what: string): void {
    const platform = parseConfigPlatform(config, what)
    // The variant is the kernel's to judge.
    if (platform === undefined || isSameKind(platform, hostPlatform())) return
    throw this.#foreign([formatPlatform(platform)])
  }

  /** The documents last: their labels tell the collector to keep everything they name. */
  async #store(
    leaseId: string,
    target: Document,
    manifest: Document,
    image: LocalImage,
    config: Descriptor,
  ): Promise<void> {
    const { signal } = this.#options
    const label = { [`${gcReference}.snapshot.${snapshotter}`]: image.chainId }
    await callContainerd(`keep the layers of ${image.name}`, () =>
      this.#parts.client.content.update({
        info: { digest: config.digest, labels: label },
        updateMask: { paths: [`labels.${gcReference}.snapshot.${snapshotter}`] },
      }),
    )
    const references: Record<string, string> = { [`${gcReference}.content.config`]: config.digest }
    for (const [at, layer] of image.layers.entries()) {
      references[`${gcReference}.content.l.${at}`] = layer.digest
    }
    const { blobs } = this.#parts
    const options = this.#fetchOptions(leaseId, references, signal)
    await blobs.store(manifest.bytes, manifest.descriptor, options)
    if (manifest === target) return
    const only = { [`${gcReference}.content.m.0`]: manifest.descriptor.digest }
    await blobs.store(target.bytes, target.descriptor, this.#fetchOptions(leaseId, only, signal))
  }

  /** Makes the name point to what was fetched. */
  async #name(target: Descriptor): Promise<void> {
    const { images } = this.#parts.client
    const { mediaType, digest, size } = target
    const image = {
      name: this.#image.name,
      target: { mediaType, digest, size: BigInt(size) },
      labels: {},
    }
    try {
      await images.create({ image })
    } catch (reason) {
      if (!isAlreadyThere(reason)) throw errorOfContainerd(reason, `name image ${image.name}`)
      await callContainerd(`name image ${image.name}`, () =>
        images.update({ image, updateMask: { paths: ['target'] } }),
      )
    }
  }

  async #selectManifest(index: Document): Promise<Document> {
    const entries = parseIndex(index.bytes, `index ${index.descriptor.digest}`)
    const selected = selectPlatform(entries, hostPlatform())
    if (selected === undefined) throw this.#foreign(platformsOf(entries))
    return this.#fetchDocument(selected.digest)
  }

  #foreign(platforms: readonly string[]): CloudlessError {
    const { name } = this.#image
    this.#parts.foreign.add(name, platforms)
    return noPlatform(name, platforms)
  }

  async #fetchDocument(reference: string): Promise<Document> {
    const { registry } = this.#parts
    const { signal } = this.#options
    const { bytes, mediaType } = await registry.manifest(this.#image, reference, signal)
    const digest = digestOf(bytes)
    if (reference.includes(':') && digest !== reference) {
      throw new CloudlessError(
        'corrupt_data',
        `The registry sent ${digest} when asked for ${reference} of ${this.#image.name}.`,
      )
    }
    return { bytes, descriptor: { mediaType, digest, size: bytes.length } }
  }

  #fetchOptions(
    leaseId: string,
    labels: Readonly<Record<string, string>>,
    signal: AbortSignal,
  ): FetchOptions {
    const onBytes = (bytes: number): void => {
      if (this.#progress.phase !== 'downloading') return
      const bytesDone = this.#progress.bytesDone + bytes
      const isAll = bytesDone >= this.#progress.bytesTotal
      this.#report(isAll ? { bytesDone, phase: 'unpacking' } : { bytesDone })
    }
    return { leaseId, labels, signal, onBytes }
  }

  #report(change: Partial<PullProgress>): void {
    this.#progress = { ...this.#progress, ...change }
    this.#options.report(this.#progress)
  }
}
