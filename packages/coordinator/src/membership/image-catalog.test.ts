import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { create } from '@bufbuild/protobuf'
import { NodeImagesSchema, type NodeImages } from '@cloudless/api'
import fc from 'fast-check'
import { ImageCatalog, imagesOfNodeMax } from './image-catalog.ts'

const amd64 = 'linux/amd64'
const arm64 = 'linux/arm64'

describe('what an image is made for', () => {
  const cases: readonly (readonly [property: string, told: readonly string[], answer: string])[] = [
    ['is not known before anyone has told', [], ''],
    ['is what its node says', ['a: app on amd64 arm64'], 'amd64 arm64'],
    ['is what all who have it say', ['a: app on amd64', 'b: app on arm64'], 'amd64 arm64'],
    ['is what the registry has, once asked', ['a: app on amd64', 'b: app not arm64'], 'arm64'],
    ['is what the registry has, asked before', ['b: app not arm64', 'a: app on amd64'], 'arm64'],
    ['is of no use when the registry did not say', ['a: app on amd64', 'b: app not'], 'amd64'],
    ['is what was told last', ['a: app on amd64', 'a: app on arm64'], 'arm64'],
    ['is taken back', ['a: app on amd64', 'b: app not arm64', 'b: -'], 'amd64'],
    ['is forgotten when nobody says so', ['a: app on amd64', 'a: -'], ''],
    ['is forgotten with the node', ['a: app on amd64', 'b: app on arm64', 'a gone'], 'arm64'],
    ['is not what other images are made for', ['a: other on amd64'], ''],
  ]
  for (const [property, told, answer] of cases) {
    test(property, () => {
      const catalog = new ImageCatalog()
      for (const line of told) play(catalog, line)
      const platforms = answer === '' ? [] : answer.split(' ').map((one) => `linux/${one}`)
      assert.deepEqual(catalog.platformsOf('app'), platforms)
    })
  }
})

test('images that are foreign are not on the node', () => {
  const catalog = new ImageCatalog()
  play(catalog, 'a: app on amd64, other not arm64')
  assert.deepEqual([...catalog.imagesOf('a')], ['app'])
  assert.deepEqual([...catalog.imagesOf('b')], [])
})

test('the same told again is no news, and keeps the very same set', () => {
  const catalog = new ImageCatalog()
  assert.deepEqual(play(catalog, 'a: app on amd64'), {
    nodeChanged: true,
    platformsChanged: ['app'],
  })
  const before = catalog.imagesOf('a')
  assert.deepEqual(play(catalog, 'a: app on amd64'), { nodeChanged: false, platformsChanged: [] })
  assert.equal(catalog.imagesOf('a'), before)
})

test('says which of the two has changed', () => {
  const catalog = new ImageCatalog()
  play(catalog, 'a: app on amd64')
  const elsewhere = { nodeChanged: true, platformsChanged: [] }
  assert.deepEqual(play(catalog, 'b: app on amd64'), elsewhere)
  assert.deepEqual(play(catalog, 'b gone'), elsewhere)
  const rebuilt = { nodeChanged: false, platformsChanged: ['app'] }
  assert.deepEqual(play(catalog, 'a: app on amd64 arm64'), rebuilt)
  assert.deepEqual(play(catalog, 'c gone'), { nodeChanged: false, platformsChanged: [] })
})

test('takes no more from a node than it has room for, and no nonsense', () => {
  const catalog = new ImageCatalog()
  const images = Array.from({ length: imagesOfNodeMax + 10 }, (_, n) => ({
    name: `app:${n}`,
    digest: 'sha256:1',
    platforms: Array.from({ length: 1_000 }, (_unused, at) => `linux/p${at}`),
  }))
  catalog.tell('a', create(NodeImagesSchema, { images }))
  assert.equal(catalog.imagesOf('a').size, imagesOfNodeMax)
  assert.equal(catalog.platformsOf('app:0').length, 32)
  const odd = ['', 'n'.repeat(513)].map((name) => ({ name, digest: 'd', platforms: [amd64] }))
  const words = { name: 'app', digest: 'd', platforms: ['linux', 'a b/c', 'LINUX/amd64', arm64] }
  const older = { ...words, platforms: [amd64] }
  catalog.tell('a', create(NodeImagesSchema, { images: [...odd, words, older] }))
  assert.deepEqual([...catalog.imagesOf('a')], ['app'])
  assert.deepEqual(catalog.platformsOf('app'), [arm64])
  assert.equal(catalog.size, 1)
})

const line = fc
  .record({
    node: fc.constantFrom('a', 'b', 'c'),
    images: fc.uniqueArray(
      fc.record({
        name: fc.constantFrom('app', 'web', 'db'),
        how: fc.constantFrom('on', 'not'),
        platforms: fc.subarray(['amd64', 'arm64', 's390x']),
      }),
      { selector: (one) => one.name },
    ),
  })
  .map(({ node, images }) => {
    const said = images.map(({ name, how, platforms }) => [name, how, ...platforms].join(' '))
    return `${node}: ${said.join(', ') || '-'}`
  })

test('answers as if only the last words of each node had been said, in any order', () => {
  fc.assert(
    fc.property(fc.array(line, { maxLength: 12 }), (lines) => {
      const lived = new ImageCatalog()
      for (const each of lines) play(lived, each)
      const last = new Map(lines.map((each) => [each[0]!, each]))
      const fresh = new ImageCatalog()
      for (const each of [...last.values()].toReversed()) play(fresh, each)
      for (const image of ['app', 'web', 'db']) {
        assert.deepEqual(lived.platformsOf(image), fresh.platformsOf(image))
      }
      for (const node of ['a', 'b', 'c']) {
        assert.deepEqual([...lived.imagesOf(node)].sort(), [...fresh.imagesOf(node)].sort())
        play(lived, `${node} gone`)
      }
      assert.equal(lived.size, 0, 'nothing is left of nodes that are gone')
    }),
  )
})

test('says so of every image whose platforms become others, and of no other', () => {
  fc.assert(
    fc.property(fc.array(line, { maxLength: 12 }), (lines) => {
      const catalog = new ImageCatalog()
      for (const each of lines) {
        const names = ['app', 'web', 'db']
        const before = names.map((name) => catalog.platformsOf(name).join())
        const { platformsChanged } = play(catalog, each)
        const changed = names.filter((name, at) => catalog.platformsOf(name).join() !== before[at])
        assert.deepEqual([...platformsChanged].sort(), changed.sort())
      }
    }),
  )
})

/** "a: app on amd64 arm64, web not arm64", "a: -" for nothing at all, "a gone". */
function play(catalog: ImageCatalog, said: string): ReturnType<ImageCatalog['tell']> {
  const nodeId = said[0]!
  if (said.endsWith(' gone')) return catalog.forget(nodeId)
  const rest = said.slice(3)
  return catalog.tell(nodeId, rest === '-' ? create(NodeImagesSchema) : imagesOf(rest))
}

function imagesOf(said: string): NodeImages {
  return create(NodeImagesSchema, {
    images: said.split(', ').map((each) => {
      const [name = '', how, ...platforms] = each.split(' ')
      const digest = how === 'on' ? 'sha256:1' : ''
      return { name, digest, platforms: platforms.map((one) => `linux/${one}`) }
    }),
  })
}
