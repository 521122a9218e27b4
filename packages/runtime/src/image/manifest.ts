/** The documents of an image (OCI and Docker, which differ in names only), read defensively: they come from outside. */
import { CloudlessError, messageOf } from '@cloudless/base'
import { createHash } from 'node:crypto'
import type { Platform } from './platform.ts'

export interface Descriptor {
  readonly mediaType: string
  readonly digest: string
  readonly size: number
  readonly platform?: Platform
}

export interface ImageManifest {
  readonly config: Descriptor
  readonly layers: readonly Descriptor[]
}

/** What the image says about how to run it. */
export interface ImageConfig {
  readonly env: readonly string[]
  readonly entrypoint: readonly string[]
  readonly command: readonly string[]
  readonly workingDir: string
  readonly user: string
  /** "SIGTERM" or a number; empty when not said. */
  readonly stopSignal: string
  /** Digests of the uncompressed layers, lowest first. */
  readonly diffIds: readonly string[]
}

export const mediaTypes = {
  index: [
    'application/vnd.oci.image.index.v1+json',
    'application/vnd.docker.distribution.manifest.list.v2+json',
  ],
  manifest: [
    'application/vnd.oci.image.manifest.v1+json',
    'application/vnd.docker.distribution.manifest.v2+json',
  ],
} as const

/** Limit on manifests and configurations; layers are streamed and have none. */
export const documentBytesMax = 4 * 1024 * 1024
export const layersMax = 512

export function isIndex(mediaType: string): boolean {
  return (mediaTypes.index as readonly string[]).includes(mediaType)
}

export function parseIndex(bytes: Uint8Array, what: string): readonly Descriptor[] {
  const { manifests } = parseObject(bytes, what)
  if (!Array.isArray(manifests)) throw malformed(what, 'no list of manifests')
  return manifests.map((entry) => descriptorOf(entry, what))
}

export function parseManifest(bytes: Uint8Array, what: string): ImageManifest {
  const { config, layers } = parseObject(bytes, what)
  if (!Array.isArray(layers)) throw malformed(what, 'no list of layers')
  if (layers.length > layersMax) throw malformed(what, `more than ${layersMax} layers`)
  return {
    config: descriptorOf(config, what),
    layers: layers.map((layer) => descriptorOf(layer, what)),
  }
}

export function parseImageConfig(bytes: Uint8Array, what: string): ImageConfig {
  const document = parseObject(bytes, what)
  const config = isRecord(document['config']) ? document['config'] : {}
  const rootfs = isRecord(document['rootfs']) ? document['rootfs'] : {}
  return {
    env: strings(config['Env']),
    entrypoint: strings(config['Entrypoint']),
    command: strings(config['Cmd']),
    workingDir: text(config['WorkingDir']),
    user: text(config['User']),
    stopSignal: text(config['StopSignal']),
    diffIds: strings(rootfs['diff_ids']),
  }
}

/** What the configuration says the image is made for; undefined when it does not say. */
export function parseConfigPlatform(bytes: Uint8Array, what: string): Platform | undefined {
  const platform = platformOf(parseObject(bytes, what))
  return platform.os === '' || platform.architecture === '' ? undefined : platform
}

/** The name under which each layer's snapshot is kept: it depends on all layers below it. */
export function chainIdsOf(diffIds: readonly string[]): readonly string[] {
  const chainIds: string[] = []
  for (const diffId of diffIds) {
    const below = chainIds.at(-1)
    chainIds.push(below === undefined ? diffId : digestOf(`${below} ${diffId}`))
  }
  return chainIds
}

export function digestOf(content: string | Uint8Array): string {
  return `sha256:${createHash('sha256').update(content).digest('hex')}`
}

/** The media type a document says it has, for registries that do not say it in the header. */
export function mediaTypeWithin(bytes: Uint8Array, what: string): string {
  const document = parseObject(bytes, what)
  if (typeof document['mediaType'] === 'string') return document['mediaType']
  return Array.isArray(document['manifests']) ? mediaTypes.index[0] : mediaTypes.manifest[0]
}

function descriptorOf(value: unknown, what: string): Descriptor {
  if (!isRecord(value)) throw malformed(what, 'an entry is not an object')
  const { mediaType, digest, size, platform } = value
  if (typeof digest !== 'string' || !/^sha256:[a-f0-9]{64}$/.test(digest)) {
    throw malformed(what, `"${String(digest).slice(0, 80)}" is not a SHA-256 digest`)
  }
  if (typeof size !== 'number' || !Number.isSafeInteger(size) || size < 0) {
    throw malformed(what, `the size of ${digest} is not a number`)
  }
  return {
    mediaType: text(mediaType),
    digest,
    size,
    ...(isRecord(platform) ? { platform: platformOf(platform) } : {}),
  }
}

function platformOf(value: Record<string, unknown>): Platform {
  const variant = text(value['variant'])
  return {
    os: text(value['os']),
    architecture: text(value['architecture']),
    ...(variant === '' ? {} : { variant }),
  }
}

function parseObject(bytes: Uint8Array, what: string): Record<string, unknown> {
  let value: unknown
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes))
  } catch (reason) {
    throw malformed(what, messageOf(reason))
  }
  if (!isRecord(value)) throw malformed(what, 'not an object')
  return value
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function strings(value: unknown): readonly string[] {
  return Array.isArray(value) ? value.filter((item) => typeof item === 'string') : []
}

function text(value: unknown): string {
  return typeof value === 'string' ? value : ''
}

function malformed(what: string, problem: string): CloudlessError {
  return new CloudlessError(
    'corrupt_data',
    `${what} is not a valid image document: ${problem}. Push the image again.`,
  )
}
