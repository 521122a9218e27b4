import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readSettings } from './settings.ts'

test('without variables the cluster is in .cloudless, on ports 8080 and 8081, with three agents', () => {
  const settings = readSettings({}, '/somewhere')
  assert.equal(settings.home, '/somewhere/.cloudless')
  assert.equal(settings.port, 8080)
  assert.equal(settings.healthPort, 8081)
  assert.equal(settings.podCidr, '10.244.0.0/16')
  assert.deepEqual(
    settings.agents.map(({ cpuCores, memoryMb, zone }) => [cpuCores, memoryMb, zone]),
    [
      [2, 2048, 'zone-a'],
      [4, 4096, 'zone-b'],
      [1, 1024, 'zone-c'],
    ],
  )
})

test('a variable that makes no sense is refused by its name', () => {
  for (const [name, value] of [
    ['CLOUDLESS_PORT', 'http'],
    ['CLOUDLESS_PORT', '0'],
    ['CLOUDLESS_HEALTH_PORT', '65536'],
    ['CLOUDLESS_SUBNET', '10.66'],
    ['CLOUDLESS_PREFIX', 'much-too-long'],
    ['CLOUDLESS_POD_CIDR', '10.244.1.0/24'],
  ] as const) {
    assert.throws(() => readSettings({ [name]: value }, '/'), new RegExp(name))
  }
})
