import assert from 'node:assert/strict'
import { beforeEach, describe, test } from 'node:test'
import { ForeignImages } from './foreign-images.ts'

describe('foreign images', () => {
  let nowMs: number
  let changes: number
  let images: ForeignImages

  beforeEach(() => {
    nowMs = 1
    changes = 0
    images = new ForeignImages({ clock: { monotonicMs: () => nowMs }, onChange: () => changes++ })
  })

  const names = (): string[] => images.list().map(({ name }) => name)

  test('what was found last comes first, and is said once', () => {
    images.add('a', ['linux/arm64'])
    images.add('b', ['linux/arm64'])
    images.add('a', ['linux/arm64'])
    assert.deepEqual(names(), ['a', 'b'])
    assert.equal(changes, 2)
    images.add('a', ['linux/s390x'])
    assert.deepEqual(images.list()[0], { name: 'a', platforms: ['linux/s390x'] })
    assert.equal(changes, 3)
  })

  test('an image that was pulled is foreign no more', () => {
    images.add('a', ['linux/arm64'])
    images.delete('a')
    images.delete('never-was')
    assert.deepEqual(names(), [])
    assert.equal(changes, 2)
  })

  test('is forgotten after ten minutes in which nobody tried again', () => {
    images.add('a', ['linux/arm64'])
    images.add('b', ['linux/arm64'])
    nowMs += 599_999
    images.add('b', ['linux/arm64'])
    assert.deepEqual(names(), ['b', 'a'])
    nowMs += 1
    assert.deepEqual(names(), ['b'])
  })

  test('no more than a hundred are remembered, the newest', () => {
    for (let n = 0; n < 101; n++) images.add(`image-${n}`, ['linux/arm64'])
    assert.equal(names().length, 100)
    assert.equal(names().at(-1), 'image-1')
  })
})
