/** Real pulls from a real registry into a real containerd. Needs root, containerd and docker-registry. */
import { after, before, describe, test } from 'node:test'
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { createServer, type Server } from 'node:http'
import { randomBytes } from 'node:crypto'
import { ImagePullPolicy } from '@cloudless/api'
import { buildImage, busyboxFiles, type BuiltImage } from '../../../../test/testkit/image.ts'
import {
  pushImage,
  pushIndex,
  startRegistry,
  type LocalRegistry,
} from '../../../../test/testkit/registry.ts'
import { createContainerdClient } from '../containerd/client.ts'
import type { PullOptions, PullProgress } from '../runtime.ts'
import {
  createRuntimeFixture,
  eventually,
  logText,
  type RuntimeFixture,
} from '../testing/runtime-fixture.ts'

const policy = (
  pullPolicy: ImagePullPolicy = ImagePullPolicy.UNSPECIFIED,
  rest: Partial<PullOptions> = {},
): PullOptions => ({ policy: pullPolicy, signal: AbortSignal.timeout(30_000), ...rest })

describe('pulling images', { timeout: 120_000 }, () => {
  let registry: LocalRegistry
  let fixture: RuntimeFixture
  let proxy: Proxy
  let image: BuiltImage

  before(async () => {
    registry = await startRegistry()
    proxy = await startProxy(registry.port)
    fixture = await createRuntimeFixture('rt-pull', '10.249.12.0/24', {
      registries: {
        mirrors: { 'images.example': ['127.0.0.1:3', registry.name] },
        credentials: [{ name: 'test', registry: proxy.name, username: 'user', password: 'secret' }],
      },
    })
    image = buildImage({
      name: 'app',
      ...(await busyboxFiles()),
      layers: [
        { '/greeting': 'hello from the second layer\n' },
        { '/big': { content: randomBytes(6_000_000) } },
      ],
      config: { Entrypoint: ['cat'], Cmd: ['/greeting'] },
    })
  })

  after(async () => {
    await fixture?.destroy()
    proxy?.close()
    await registry?.destroy()
  })

  test('pulls an image by tag and runs it', async () => {
    const { runtime } = fixture
    const name = await pushImage(registry, 'team/app:1', image)
    const seen: PullProgress[] = []
    const onProgress = (progress: PullProgress): void => void seen.push(progress)
    assert.equal(await runtime.pull(name, policy(undefined, { onProgress })), image.digest)
    assert.deepEqual(
      [...new Set(seen.map(({ phase }) => phase))],
      ['resolving', 'downloading', 'unpacking', 'done'],
    )
    const { bytesDone, bytesTotal } = seen.at(-1)!
    assert.ok(bytesDone === bytesTotal && bytesTotal > 6_000_000)
    const request = fixture.request('pulled', { image: name })
    await runtime.start(request)
    await eventually(
      'its output',
      async () =>
        (await logText(runtime, request.logPath)).includes('stdout: hello from the second layer') ||
        undefined,
    )
    await runtime.remove('pulled')
    const listed = (await runtime.images()).find((one) => one.name === name)
    assert.equal(listed?.digest, image.digest)
  })

  test('selects the image for this machine from an index', async () => {
    await pushImage(registry, 'team/app:1', image)
    const other = buildImage({ name: 'other', files: { '/x': 'x' }, architecture: 's390x' })
    await pushImage(registry, 'team/app:other', other)
    const own = process.arch === 'x64' ? 'amd64' : process.arch
    const { name, digest } = await pushIndex(registry, 'team/app:all', [
      { image: other, architecture: 's390x' },
      { image, architecture: own },
    ])
    assert.equal(await fixture.runtime.pull(name, policy()), digest)
    const alien = await pushIndex(registry, 'team/app:alien', [
      { image: other, architecture: 's390x' },
    ])
    await assert.rejects(fixture.runtime.pull(alien.name, policy()), {
      code: 'failed_precondition',
      message: /no image for linux\//,
    })
  })

  test('says what is missing, and where it was looked for', async () => {
    const { runtime } = fixture
    await assert.rejects(runtime.pull(`${registry.name}/absent:1`, policy()), {
      code: 'not_found',
      message: new RegExp(`There is no image ${registry.name}/absent:1.*HTTP 404`),
    })
    await assert.rejects(runtime.pull('127.0.0.1:3/app:1', policy()), {
      code: 'unavailable',
      message: /the registry does not answer.*127\.0\.0\.1:3: connect ECONNREFUSED/,
    })
    await assert.rejects(runtime.pull('never:1', policy(ImagePullPolicy.NEVER)), {
      code: 'not_found',
      message: /image_pull_policy is NEVER/,
    })
    await assert.rejects(runtime.pull('UPPER/case', policy()), { code: 'invalid_argument' })
  })

  test('uses mirrors in order, a dead one excepted', async () => {
    await pushImage(registry, 'team/mirrored:1', image)
    const digest = await fixture.runtime.pull('images.example/team/mirrored:1', policy())
    assert.equal(digest, image.digest)
  })

  test('falls back to the copy on the node when the registry is away', async () => {
    const { runtime, warnings } = fixture
    const name = await pushImage(registry, 'team/fallback:latest', image)
    await runtime.pull(name, policy())
    await registry.stop()
    try {
      assert.equal(await runtime.pull(name, policy()), image.digest)
      assert.ok(warnings.some((text) => text.startsWith('The registry is away')))
    } finally {
      await registry.start()
    }
    const changed = buildImage({ name: 'changed', files: { '/x': 'changed' } })
    await pushImage(registry, 'team/fallback:latest', changed)
    assert.equal(await runtime.pull(name, policy(ImagePullPolicy.IF_NOT_PRESENT)), image.digest)
    assert.equal(await runtime.pull(name, policy()), changed.digest, 'latest is asked for again')
  })

  test('authenticates by token and by password, and says when it cannot', async () => {
    const fresh = (text: string): BuiltImage => buildImage({ name: 'f', files: { '/x': text } })
    proxy.authentication = 'basic'
    const basic = fresh('basic')
    await pushImage(registry, 'team/basic:1', basic)
    assert.equal(await fixture.runtime.pull(`${proxy.name}/team/basic:1`, policy()), basic.digest)
    proxy.authentication = 'bearer'
    const bearer = fresh('bearer')
    await pushImage(registry, 'team/bearer:1', bearer)
    assert.equal(await fixture.runtime.pull(`${proxy.name}/team/bearer:1`, policy()), bearer.digest)
    proxy.authentication = 'refuse'
    await pushImage(registry, 'team/refused:1', fresh('refused'))
    await assert.rejects(fixture.runtime.pull(`${proxy.name}/team/refused:1`, policy()), {
      code: 'unauthenticated',
      message: /credentials do not allow it/,
    })
    proxy.authentication = 'none'
  })

  test('continues a broken download where it stood, and checks what came', async () => {
    const content = randomBytes(5_000_000)
    const large = buildImage({ name: 'large', files: { '/large': { content } } })
    await pushImage(registry, 'team/large:1', large)
    proxy.breakAfterBytes = 2_000_000
    proxy.ranges.length = 0
    assert.equal(await fixture.runtime.pull(`${proxy.name}/team/large:1`, policy()), large.digest)
    assert.ok(
      proxy.ranges.some((range) => /^bytes=\d{6,}-$/.test(range)),
      proxy.ranges.join(),
    )

    const damaged = buildImage({
      name: 'damaged',
      files: { '/x': { content: randomBytes(100_000) } },
    })
    await pushImage(registry, 'team/damaged:1', damaged)
    proxy.damage = true
    await assert.rejects(fixture.runtime.pull(`${proxy.name}/team/damaged:1`, policy()), {
      code: 'corrupt_data',
    })
    proxy.damage = false
    assert.equal(
      await fixture.runtime.pull(`${proxy.name}/team/damaged:1`, policy()),
      damaged.digest,
    )
  })

  test('keeps what it finds of an image while that is being collected', async () => {
    const { runtime } = fixture
    const client = createContainerdClient({
      socket: fixture.containerd.socket,
      namespace: 'cloudless',
    })
    const image = buildImage({ name: 'collected', files: { '/x': { content: randomBytes(100) } } })
    const name = await pushImage(registry, 'team/collected:1', image)
    await runtime.pull(name, policy(ImagePullPolicy.ALWAYS))
    for (let round = 0; round < 40; round++) {
      await client.images.delete({ name })
      const { lease } = await client.leases.create({ id: `collect-${round}` })
      let collected: Promise<unknown> | undefined
      const onProgress = ({ phase }: PullProgress): void => {
        if (phase !== 'downloading') return
        collected ??= client.leases.delete({ id: lease!.id, sync: true })
      }
      await runtime.pull(name, policy(ImagePullPolicy.ALWAYS, { onProgress }))
      await collected
    }
  })

  test('says that the disk is full, and pulls once there is room', async () => {
    const mebibyte = 1024 * 1024
    const diskBytes = 8 * mebibyte
    const small = await createRuntimeFixture('rt-full', '10.249.13.0/24', {}, { diskBytes })
    try {
      const content = randomBytes(12 * mebibyte)
      const large = buildImage({ name: 'l', files: { '/large': { content } } })
      const name = await pushImage(registry, 'team/full:1', large)
      await assert.rejects(small.runtime.pull(name, policy()), {
        code: 'resource_exhausted',
        message: /the disk is full/,
      })
      const disk = join(small.containerd.directory, 'root')
      await promisify(execFile)('mount', ['-o', `remount,size=${80 * mebibyte}`, disk])
      assert.equal(await small.runtime.pull(name, policy()), large.digest)
    } finally {
      await small.destroy()
    }
  })

  test('pulls an image once for all who want it at the same time', async () => {
    const shared = buildImage({ name: 'shared', files: { '/x': 'shared' } })
    await pushImage(registry, 'team/shared:1', shared)
    const name = `${proxy.name}/team/shared:1`
    const before = proxy.requests
    const gone = new AbortController()
    const pulls = [1, 2, 3].map(() => fixture.runtime.pull(name, policy()))
    const leaving = fixture.runtime.pull(name, policy(undefined, { signal: gone.signal }))
    gone.abort()
    await assert.rejects(leaving)
    assert.deepEqual(await Promise.all(pulls), [shared.digest, shared.digest, shared.digest])
    assert.equal(proxy.requests - before, 3, 'a manifest, a configuration, a layer')
  })
})

interface Proxy {
  readonly name: string
  authentication: 'none' | 'basic' | 'bearer' | 'refuse'
  /** The next blob's connection is cut after this many bytes; once. */
  breakAfterBytes: number
  /** Blobs are sent with one byte changed. */
  damage: boolean
  requests: number
  readonly ranges: string[]
  close(): void
}

/** A registry's front door that asks for credentials, breaks connections and damages what it sends. */
async function startProxy(port: number): Promise<Proxy> {
  const proxy = {
    name: '',
    authentication: 'none' as Proxy['authentication'],
    breakAfterBytes: 0,
    damage: false,
    requests: 0,
    ranges: [] as string[],
    close: () => void server.close(),
  }
  const server: Server = createServer((request, response) => {
    void (async () => {
      const basic = `Basic ${Buffer.from('user:secret').toString('base64')}`
      const { authorization = '' } = request.headers
      if (request.url?.startsWith('/token')) {
        response.statusCode = authorization === basic ? 200 : 401
        return response.end(JSON.stringify({ token: 'the-token', expires_in: 300 }))
      }
      const accepted = { none: authorization, basic, bearer: 'Bearer the-token', refuse: 'nothing' }
      if (authorization !== accepted[proxy.authentication]) {
        const challenge = `Bearer realm="http://${proxy.name}/token",service="test"`
        const header = proxy.authentication === 'basic' ? 'Basic realm="test"' : challenge
        return response.writeHead(401, { 'www-authenticate': header }).end()
      }
      proxy.requests++
      const headers: Record<string, string> = { accept: request.headers.accept ?? '*/*' }
      if (request.headers.range !== undefined) {
        proxy.ranges.push(request.headers.range)
        headers['range'] = request.headers.range
      }
      const answer = await fetch(`http://127.0.0.1:${port}${request.url}`, { headers })
      const content = Buffer.from(await answer.arrayBuffer())
      response.writeHead(answer.status, {
        'content-type': answer.headers.get('content-type') ?? '',
        'content-length': content.length,
      })
      const isLayer = content.length > 50_000
      if (isLayer && proxy.damage) content[1000]! ^= 1
      if (isLayer && proxy.breakAfterBytes > 0) {
        const part = content.subarray(0, proxy.breakAfterBytes)
        proxy.breakAfterBytes = 0
        return response.write(part, () => setImmediate(() => response.destroy()))
      }
      return response.end(content)
    })()
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const bound = server.address()
  proxy.name = `127.0.0.1:${typeof bound === 'object' ? bound?.port : 0}`
  return proxy
}
