import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CloudlessError } from '@cloudless/base'
import fc from 'fast-check'
import {
  chainIdsOf,
  digestOf,
  parseConfigPlatform,
  parseImageConfig,
  parseIndex,
  parseManifest,
} from './manifest.ts'

test('names each layer by all layers below it', () => {
  const [a, b, c] = ['sha256:a', 'sha256:b', 'sha256:c'] as const
  const second = digestOf(`${a} ${b}`)
  assert.deepEqual(chainIdsOf([a, b, c]), [a, second, digestOf(`${second} ${c}`)])
  assert.deepEqual(chainIdsOf([]), [])
})

test('a configuration says what the image is made for, or does not', () => {
  const cases = [
    [{ os: 'linux', architecture: 'arm', variant: 'v7' }, 'linux arm v7'],
    [{ os: 'linux', architecture: 'amd64' }, 'linux amd64 '],
    [{ os: 'linux' }, undefined],
    [{ architecture: 'amd64' }, undefined],
    [{ os: 1, architecture: [] }, undefined],
  ] as const
  for (const [document, said] of cases) {
    const platform = parseConfigPlatform(Buffer.from(JSON.stringify(document)), 'c')
    const text = platform && `${platform.os} ${platform.architecture} ${platform.variant ?? ''}`
    assert.equal(text, said)
  }
})

test('reports malformed documents as damaged, whatever they hold', () => {
  const parsers = [parseIndex, parseManifest, parseImageConfig, parseConfigPlatform]
  const check = (bytes: Uint8Array): void => {
    for (const parse of parsers) {
      try {
        parse(bytes, 'document')
      } catch (reason) {
        assert.ok(
          reason instanceof CloudlessError && reason.code === 'corrupt_data',
          String(reason),
        )
      }
    }
  }
  fc.assert(fc.property(fc.uint8Array({ maxLength: 64 }), check))
  fc.assert(fc.property(fc.json(), (text) => check(Buffer.from(text))))
  const layers = [{ digest: 'sha256:no', size: 1 }]
  const withBadDigest = Buffer.from(JSON.stringify({ config: layers[0], layers }))
  assert.throws(() => parseManifest(withBadDigest, 'm'), { code: 'corrupt_data' })
})
