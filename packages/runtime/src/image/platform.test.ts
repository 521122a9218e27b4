import assert from 'node:assert/strict'
import { test } from 'node:test'
import { formatPlatform, hostPlatform, platformsOf, selectPlatform } from './platform.ts'
import type { Platform } from './platform.ts'

interface Entry {
  readonly name: string
  readonly platform: Platform
}

const entry = (architecture: string, variant?: string): Entry => ({
  name: `${architecture}-${variant ?? ''}`,
  platform: { os: 'linux', architecture, ...(variant === undefined ? {} : { variant }) },
})

test('selects the platform that runs here, the same variant first', () => {
  const arm64 = hostPlatform('arm64')
  const armV7 = hostPlatform('arm')
  const amd64 = hostPlatform('x64')
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
  for (const [entries, platform, name] of cases) {
    assert.equal(selectPlatform<Entry>(entries, platform)?.name, name)
  }
})

test('writes platforms as container engines do', () => {
  const cases = [
    [{ os: 'linux', architecture: 'amd64' }, 'linux/amd64'],
    [{ os: 'linux', architecture: 'amd64', variant: 'v3' }, 'linux/amd64/v3'],
    [{ os: 'linux', architecture: 'arm', variant: 'v7' }, 'linux/arm/v7'],
    [{ os: 'linux', architecture: 'arm64', variant: 'v8' }, 'linux/arm64'],
    [{ os: 'windows', architecture: 'amd64', variant: '' }, 'windows/amd64'],
  ] as const
  for (const [platform, text] of cases) assert.equal(formatPlatform(platform), text)
})

test('an index offers each platform once, and no attestation is one', () => {
  const attestation = { platform: { os: 'unknown', architecture: 'unknown' } }
  const unsaid = { platform: { os: '', architecture: '' } }
  const entries = [entry('arm64', 'v8'), entry('amd64'), attestation, entry('arm64'), unsaid, {}]
  assert.deepEqual(platformsOf(entries), ['linux/amd64', 'linux/arm64'])
  assert.deepEqual(platformsOf([]), [])
})
