/** What a node says of its images, from a real registry and a real containerd. Needs root, containerd and docker-registry. */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { ImagePullPolicy } from '@cloudless/api'
import { buildImage, type BuiltImage } from '../../../../test/testkit/image.ts'
import {
  pushImage,
  pushIndex,
  startRegistry,
  type LocalRegistry,
} from '../../../../test/testkit/registry.ts'
import { createContainerdClient, type ContainerdClient } from '../containerd/client.ts'
import type { ImageInfo } from '../runtime.ts'
import {
  createRuntimeFixture,
  eventually,
  type RuntimeFixture,
} from '../testing/runtime-fixture.ts'
import { hostPlatform } from './platform.ts'

const own = hostPlatform().architecture
const ownPlatform = `linux/${own}`

describe('images on a node', { timeout: 120_000 }, () => {
  let registry: LocalRegistry
  let fixture: RuntimeFixture
  let client: ContainerdClient
  let image: BuiltImage
  let other: BuiltImage

  before(async () => {
    registry = await startRegistry()
    fixture = await createRuntimeFixture('rt-list', '10.249.14.0/24')
    const { socket } = fixture.containerd
    client = createContainerdClient({ socket, namespace: 'cloudless' })
    image = buildImage({ name: 'app', files: { '/x': 'of this machine' } })
    other = buildImage({ name: 'other', files: { '/x': 'x' }, architecture: 's390x' })
    await pushImage(registry, 'team/app:own', image)
    await pushImage(registry, 'team/app:other', other)
  })

  after(async () => {
    await fixture?.destroy()
    await registry?.destroy()
  })

  const pull = (name: string): Promise<string> =>
    fixture.runtime.pull(name, {
      policy: ImagePullPolicy.ALWAYS,
      signal: AbortSignal.timeout(30_000),
    })
  const listed = async (name: string): Promise<ImageInfo | undefined> =>
    (await fixture.runtime.images()).find((one) => one.name === name)

  test('are listed with all platforms of their index, also by the next runtime', async () => {
    const { name, digest } = await pushIndex(registry, 'team/app:all', [
      { image: other, architecture: 's390x' },
      { image, architecture: own },
    ])
    await pull(name)
    const first = await listed(name)
    const bytes = image.layers.reduce((sum, layer) => sum + layer.content.length, 0)
    assert.deepEqual(first?.platforms, [ownPlatform, 'linux/s390x'].toSorted())
    assert.deepEqual([first?.digest, first?.bytes], [digest, bytes])
    await fixture.restart()
    assert.deepEqual(await listed(name), first)
  })

  test('are listed with the platform of their configuration when there is no index', async () => {
    const name = `${registry.name}/team/app:own`
    await pull(name)
    assert.deepEqual((await listed(name))?.platforms, [ownPlatform])
    await fixture.restart()
    assert.deepEqual((await listed(name))?.platforms, [ownPlatform])
  })

  test('are for this machine when their index says so, whatever their configuration says', async () => {
    const { name } = await pushIndex(registry, 'team/app:mislabelled', [
      { image: other, architecture: own },
    ])
    await pull(name)
    assert.deepEqual((await listed(name))?.platforms, [ownPlatform])
  })

  test('are not those of other machines, which are known apart until there is one for this', async () => {
    const single = `${registry.name}/team/app:other`
    const index = await pushIndex(registry, 'team/app:alien', [
      { image: other, architecture: 's390x' },
    ])
    for (const name of [single, index.name]) {
      await assert.rejects(pull(name), {
        code: 'failed_precondition',
        message: new RegExp(`${name} has no image for linux/${own}.*made for linux/s390x`),
      })
      assert.equal(await listed(name), undefined)
    }
    const platforms = ['linux/s390x']
    assert.deepEqual(fixture.runtime.foreignImages(), [
      { name: index.name, platforms },
      { name: single, platforms },
    ])
    await pushIndex(registry, 'team/app:alien', [{ image, architecture: own }])
    await pull(index.name)
    assert.deepEqual(fixture.runtime.foreignImages(), [{ name: single, platforms }])
    assert.deepEqual((await listed(index.name))?.platforms, [ownPlatform])
  })

  test('are said to change when one is pulled, removed, or found to be foreign', async () => {
    const stop = new AbortController()
    const events = fixture.runtime.events(stop.signal)[Symbol.asyncIterator]()
    const told = async (): Promise<string | undefined> => (await events.next()).value?.kind
    const pulled = told()
    let round = 0
    let name = ''
    // What happens before containerd was subscribed to is not heard of.
    await eventually('the event of a pull', async () => {
      name = await pushImage(registry, `team/events:${round++}`, image)
      await pull(name)
      return Promise.race([pulled, soon()])
    })
    assert.equal(await pulled, 'images')
    const removed = told()
    await client.images.delete({ name })
    assert.equal(await removed, 'images')
    const foreign = await pushImage(registry, 'team/events:other', other)
    await assert.rejects(pull(foreign), { code: 'failed_precondition' })
    assert.equal(await told(), 'images')
    stop.abort()
  })

  test('are read once, and still listed when their documents are gone', async () => {
    const once = buildImage({ name: 'once', files: { '/x': 'once' } })
    const name = await pushImage(registry, 'team/once:1', once)
    await pull(name)
    const first = await listed(name)
    await client.content.delete({ digest: once.config.digest })
    assert.deepEqual(await listed(name), first)
    await fixture.restart()
    assert.deepEqual(await listed(name), { ...first, platforms: [], bytes: 0 })
  })
})

/** Undefined, once whatever is on its way has had its turn. */
function soon(): Promise<undefined> {
  return new Promise((resolve) => setImmediate(() => resolve(undefined)))
}
