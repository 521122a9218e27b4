import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CloudlessError } from '@cloudless/base'
import fc from 'fast-check'
import {
  chainIdsOf,
  digestOf,
  parseImageConfig,
  parseIndex,
  parseManifest,
  selectPlatform,
  type Descriptor,
} from './manifest.ts'

const entry = (architecture: string, variant?: string): Descriptor => ({
  mediaType: 'm',
  digest: `${architecture}-${variant ?? ''}`,
  size: 1,
  platform: { os: 'linux', architecture, ...(variant === undefined ? {} : { variant }) },
})

test('selects the platform that runs here, the same variant first', () => {
  const arm64 = { os: 'linux', architecture: 'arm64', variant: 'v8' }
  const armV7 = { os: 'linux', architecture: 'arm', variant: 'v7' }
  const amd64 = { os: 'linux', architecture: 'amd64' }
  const cases = [
    [[entry('amd64'), entry('arm64', 'v8')], arm64, 'arm64-v8'],
    [[entry('arm64')], arm64, 'arm64-'],
    [[entry('arm', 'v6'), entry('arm', 'v7')], armV7, 'arm-v7'],
    [[entry('arm', 'v6')], armV7, 'arm-v6'],
    [[entry('arm', 'v8')], armV7, undefined],
    [[entry('amd64'), entry('amd64', 'v3')], amd64, 'amd64-'],
    [[entry('s390x')], amd64, undefined],
    [[], amd64, undefined],
  ] as const
  for (const [entries, platform, digest] of cases) {
    assert.equal(selectPlatform(entries, platform)?.digest, digest)
  }
})

test('names each layer by all layers below it', () => {
  const [a, b, c] = ['sha256:a', 'sha256:b', 'sha256:c'] as const
  const second = digestOf(`${a} ${b}`)
  assert.deepEqual(chainIdsOf([a, b, c]), [a, second, digestOf(`${second} ${c}`)])
  assert.deepEqual(chainIdsOf([]), [])
})

test('reports malformed documents as damaged, whatever they hold', () => {
  const parsers = [parseIndex, parseManifest, parseImageConfig]
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
