/** Builds small OCI images in memory: no builder, no registry, no internet. */
import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import { gzipSync } from 'node:zlib'
import { writeTar, type TarEntry } from './tar.ts'

export interface ImageFile {
  readonly content: string | Uint8Array
  /** Permission bits; 0644 when not given. */
  readonly mode?: number
}

export interface ImageDescription {
  /** Full name, such as "cloudless.local/simple-web:1"; what containerd calls the image once imported. */
  readonly name: string
  /** By absolute path in the image. */
  readonly files: Readonly<Record<string, ImageFile | string>>
  /** Symbolic links: target by absolute path. */
  readonly links?: Readonly<Record<string, string>>
  /** Empty directories. */
  readonly directories?: readonly string[]
  readonly config?: ImageConfigDescription
  /** More layers above the first. */
  readonly layers?: readonly Readonly<Record<string, ImageFile | string>>[]
  /** As in images: "amd64", "arm64"; the machine's own when not given. */
  readonly architecture?: string
}

export interface ImageConfigDescription {
  readonly Entrypoint?: readonly string[]
  readonly Cmd?: readonly string[]
  readonly Env?: readonly string[]
  readonly WorkingDir?: string
  readonly User?: string
  readonly StopSignal?: string
  readonly ExposedPorts?: Readonly<Record<string, object>>
}

export interface Blob {
  readonly digest: string
  readonly content: Buffer
}

export interface BuiltImage {
  readonly name: string
  /** Of the manifest. */
  readonly digest: string
  readonly manifest: Blob
  readonly config: Blob
  readonly layers: readonly Blob[]
  /** An OCI layout as one archive: `ctr images import` takes it. */
  readonly archive: Buffer
}

const manifestType = 'application/vnd.oci.image.manifest.v1+json'
const configType = 'application/vnd.oci.image.config.v1+json'
const layerType = 'application/vnd.oci.image.layer.v1.tar+gzip'

/** The same description gives the same digests. */
export function buildImage(description: ImageDescription): BuiltImage {
  const first = layerEntries(description.files, description.links, description.directories)
  const more = (description.layers ?? []).map((files) => layerEntries(files, {}, []))
  const archives = [first, ...more].map(writeTar)
  const layers = archives.map((archive) => blobOf(gzipSync(archive, { level: 1 })))
  const config = jsonBlob({
    architecture: description.architecture ?? (process.arch === 'x64' ? 'amd64' : process.arch),
    os: 'linux',
    config: description.config ?? {},
    rootfs: { type: 'layers', diff_ids: archives.map((archive) => digestOf(archive)) },
    history: archives.map(() => ({ created_by: 'cloudless testkit' })),
  })
  const manifest = jsonBlob({
    schemaVersion: 2,
    mediaType: manifestType,
    config: descriptorOf(configType, config),
    layers: layers.map((layer) => descriptorOf(layerType, layer)),
  })
  const { name } = description
  const archive = layoutArchive(name, manifest, [manifest, config, ...layers])
  return { name, digest: manifest.digest, manifest, config, layers, archive }
}

/** Debian's static busybox (package busybox-static) with links for its usual applets. */
export async function busyboxFiles(): Promise<Pick<ImageDescription, 'files' | 'links'>> {
  const content = await readFile('/bin/busybox')
  return {
    files: {
      '/bin/busybox': { content, mode: 0o755 },
      '/etc/passwd': 'root:x:0:0:root:/root:/bin/sh\nweb:x:1000:1000:web:/home/web:/bin/sh\n',
      '/etc/group': 'root:x:0:\nweb:x:1000:\nextra:x:2000:web\n',
    },
    links: Object.fromEntries(busyboxApplets.map((name) => [`/bin/${name}`, 'busybox'])),
  }
}

const busyboxApplets: readonly string[] = (
  'sh cat echo sleep ls ps id env true false wc head tail dd kill ping httpd nc wget hostname ' +
  'ip mount stty tty yes grep cp mkdir rm touch date seq sync nproc test [ stat df sed tr'
).split(' ')

function layerEntries(
  files: Readonly<Record<string, ImageFile | string>>,
  links: Readonly<Record<string, string>> = {},
  directories: readonly string[] = [],
): readonly TarEntry[] {
  const entries: TarEntry[] = Object.entries(files).map(([path, file]) => ({
    kind: 'file',
    path: relative(path),
    content: Buffer.from(typeof file === 'string' ? file : file.content),
    ...(typeof file === 'string' || file.mode === undefined ? {} : { mode: file.mode }),
  }))
  for (const [path, target] of Object.entries(links)) {
    entries.push({ kind: 'link', path: relative(path), target })
  }
  const parents = new Set(directories.map(relative))
  for (const entry of entries) {
    for (let path = dirname(entry.path); path !== '.'; path = dirname(path)) parents.add(path)
  }
  const made = [...parents].toSorted().map((path): TarEntry => ({ kind: 'directory', path }))
  return [...made, ...entries]
}

function layoutArchive(name: string, manifest: Blob, blobs: readonly Blob[]): Buffer {
  const index = {
    schemaVersion: 2,
    manifests: [
      {
        ...descriptorOf(manifestType, manifest),
        annotations: { 'io.containerd.image.name': name },
      },
    ],
  }
  return writeTar([
    { kind: 'file', path: 'oci-layout', content: Buffer.from('{"imageLayoutVersion":"1.0.0"}') },
    { kind: 'file', path: 'index.json', content: Buffer.from(JSON.stringify(index)) },
    { kind: 'directory', path: 'blobs' },
    { kind: 'directory', path: 'blobs/sha256' },
    ...blobs.map((blob): TarEntry => ({
      kind: 'file',
      path: `blobs/${blob.digest.replace(':', '/')}`,
      content: blob.content,
    })),
  ])
}

function descriptorOf(
  mediaType: string,
  blob: Blob,
): { mediaType: string; digest: string; size: number } {
  return { mediaType, digest: blob.digest, size: blob.content.length }
}

function jsonBlob(value: unknown): Blob {
  return blobOf(Buffer.from(JSON.stringify(value)))
}

function blobOf(content: Buffer): Blob {
  return { digest: digestOf(content), content }
}

function digestOf(content: Buffer): string {
  return `sha256:${createHash('sha256').update(content).digest('hex')}`
}

function relative(path: string): string {
  return path.replace(/^\/+/, '')
}
