/** A registry of a test's own (Debian's docker-registry), and pushing to it. */
import { sleep, systemClock } from '@cloudless/base'
import { spawn } from 'node:child_process'
import { createServer } from 'node:net'
import { createHash } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Blob, BuiltImage } from './image.ts'

export interface RegistryOptions {
  /** "127.0.0.1" when not given. */
  readonly address?: string
  /** A free one when not given. */
  readonly port?: number
}

export interface LocalRegistry {
  /** Host and port, as image names begin with. */
  readonly name: string
  readonly port: number
  /** kill -9; its images stay. */
  stop(): Promise<void>
  /** Again, on the same port. */
  start(): Promise<void>
  /** Stops it and removes its images. Safe to call twice. */
  destroy(): Promise<void>
}

const startDeadlineMs = 10_000
const pushDeadlineMs = 30_000

export async function startRegistry(options: RegistryOptions = {}): Promise<LocalRegistry> {
  const address = options.address ?? '127.0.0.1'
  const port = options.port ?? (await freePort(address))
  const directory = mkdtempSync(join(tmpdir(), 'cloudless-registry-'))
  const configuration = join(directory, 'config.yaml')
  writeFileSync(configuration, configurationText(directory, `${address}:${port}`))
  const name = `${address}:${port}`
  let stopRunning = async (): Promise<void> => {}

  const stop = async (): Promise<void> => {
    const stopping = stopRunning
    stopRunning = async () => {}
    await stopping()
  }
  const start = async (): Promise<void> => {
    const child = spawn('docker-registry', ['serve', configuration], { stdio: 'ignore' })
    const ended = new Promise<string>((resolve) => {
      child.once('exit', (code, signal) => resolve(`ended with ${code ?? signal}`))
      child.once('error', (reason) => resolve(reason.message))
    })
    stopRunning = async () => {
      child.kill('SIGKILL')
      await ended
    }
    await untilServing(name, ended)
  }
  await start()
  return {
    name,
    port,
    stop,
    start,
    async destroy() {
      await stop()
      rmSync(directory, { recursive: true, force: true })
    },
  }
}

/** Resolves with the image's full name there: "127.0.0.1:5000/app:1". `repository` is such as "app:1". */
export async function pushImage(
  registry: Pick<LocalRegistry, 'name'>,
  repository: string,
  image: BuiltImage,
): Promise<string> {
  const [path, tag = 'latest'] = repository.split(':')
  const base = `http://${registry.name}/v2/${path}`
  for (const blob of [image.config, ...image.layers]) await pushBlob(base, blob)
  const response = await fetch(`${base}/manifests/${tag}`, {
    method: 'PUT',
    headers: { 'content-type': 'application/vnd.oci.image.manifest.v1+json' },
    body: new Uint8Array(image.manifest.content),
    signal: AbortSignal.timeout(pushDeadlineMs),
  })
  await expectStatus(response, 201)
  return `${registry.name}/${path}:${tag}`
}

/** An index over images of several platforms, under one tag. Each image must have been pushed to the repository. */
export async function pushIndex(
  registry: Pick<LocalRegistry, 'name'>,
  repository: string,
  images: readonly { readonly image: BuiltImage; readonly architecture: string }[],
): Promise<{ readonly name: string; readonly digest: string }> {
  const [path, tag = 'latest'] = repository.split(':')
  const mediaType = 'application/vnd.oci.image.index.v1+json'
  const body = JSON.stringify({
    schemaVersion: 2,
    mediaType,
    manifests: images.map(({ image, architecture }) => ({
      mediaType: 'application/vnd.oci.image.manifest.v1+json',
      digest: image.digest,
      size: image.manifest.content.length,
      platform: { os: 'linux', architecture },
    })),
  })
  const response = await fetch(`http://${registry.name}/v2/${path}/manifests/${tag}`, {
    method: 'PUT',
    headers: { 'content-type': mediaType },
    body,
    signal: AbortSignal.timeout(pushDeadlineMs),
  })
  await expectStatus(response, 201)
  const digest = `sha256:${createHash('sha256').update(body).digest('hex')}`
  return { name: `${registry.name}/${path}:${tag}`, digest }
}

async function pushBlob(base: string, blob: Blob): Promise<void> {
  const signal = AbortSignal.timeout(pushDeadlineMs)
  const begun = await fetch(`${base}/blobs/uploads/`, { method: 'POST', signal })
  await expectStatus(begun, 202)
  const url = new URL(begun.headers.get('location')!, base)
  url.searchParams.set('digest', blob.digest)
  const headers = { 'content-type': 'application/octet-stream' }
  const body = new Uint8Array(blob.content)
  await expectStatus(await fetch(url, { method: 'PUT', headers, body, signal }), 201)
}

async function expectStatus(response: Response, status: number): Promise<void> {
  const text = await response.text()
  if (response.status !== status) {
    throw new Error(`registry answered ${response.status} to ${response.url}: ${text}`)
  }
}

async function untilServing(name: string, ended: Promise<string>): Promise<void> {
  const deadlineMs = systemClock.monotonicMs() + startDeadlineMs
  let failure: string | undefined
  void ended.then((how) => (failure = how))
  for (;;) {
    const answer = await fetch(`http://${name}/v2/`).catch(() => undefined)
    await answer?.body?.cancel()
    if (answer?.ok) return
    if (failure !== undefined) throw new Error(`docker-registry ${failure}. Is it installed?`)
    if (systemClock.monotonicMs() > deadlineMs) throw new Error('docker-registry does not answer')
    await sleep(systemClock, 25)
  }
}

/** A TCP port that nothing listens on at the moment. */
export function freePort(address = '127.0.0.1'): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.once('error', reject)
    server.listen(0, address, () => {
      const bound = server.address()
      const port = typeof bound === 'object' && bound !== null ? bound.port : 0
      server.close(() => resolve(port))
    })
  })
}

function configurationText(directory: string, address: string): string {
  return `version: 0.1
log:
  level: error
storage:
  filesystem:
    rootdirectory: ${directory}/images
http:
  addr: ${address}
`
}
