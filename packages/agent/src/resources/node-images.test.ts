import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { ForeignImage, ImageInfo } from '@cloudless/runtime'
import { nodeImagesOf } from './node-images.ts'

const image = (name: string, createdAtMs: number, platforms = ['linux/amd64']): ImageInfo => ({
  name,
  digest: `sha256:${name}`,
  bytes: 10,
  platforms,
  createdAtMs,
})
const foreign = (name: string): ForeignImage => ({ name, platforms: ['linux/s390x'] })

/** "name digest? platforms", one for each image told of. */
function told(present: readonly ImageInfo[], elsewhere: readonly ForeignImage[] = []): string[] {
  return nodeImagesOf(present, elsewhere).images.map(({ name, digest, platforms }) =>
    [name, digest === '' ? 'foreign' : 'present', ...platforms].join(' '),
  )
}

describe('what is told of the images', () => {
  it('comes newest first, and always in the same order', () => {
    const images = [image('x.io/old:1', 1), image('x.io/b:1', 2), image('x.io/a:1', 2)]
    const expected = ['x.io/a:1', 'x.io/b:1', 'x.io/old:1'].map(
      (name) => `${name} present linux/amd64`,
    )
    assert.deepEqual(told(images), expected)
    assert.deepEqual(told(images.toReversed()), expected)
    assert.equal(nodeImagesOf(images, []).images[0]!.sizeBytes, 10n)
  })

  it('leaves out what has no full name, which no workload would find', () => {
    const names = ['nginx:1', 'sha256:abc', 'Odd Name', 'docker.io/library/nginx:1']
    const images = names.map((name) => image(name, 1))
    assert.deepEqual(told(images), ['docker.io/library/nginx:1 present linux/amd64'])
  })

  it('names those that are foreign first, without a digest', () => {
    const lines = told([image('x.io/a:1', 1)], [foreign('x.io/z:1')])
    assert.deepEqual(lines, ['x.io/z:1 foreign linux/s390x', 'x.io/a:1 present linux/amd64'])
  })

  it('says of one that is here and has become foreign what the registry offers', () => {
    const lines = told([image('x.io/a:1', 1)], [foreign('x.io/a:1')])
    assert.deepEqual(lines, ['x.io/a:1 present linux/s390x'])
  })

  it('is no more than five hundred, the newest', () => {
    const images = Array.from({ length: 510 }, (_, n) => image(`x.io/a:${n}`, n))
    const lines = told(images, [foreign('x.io/z:1')])
    assert.equal(lines.length, 500)
    assert.equal(lines[1], 'x.io/a:509 present linux/amd64')
  })
})
