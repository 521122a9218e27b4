import assert from 'node:assert/strict'
import { isIP } from 'node:net'
import { test } from 'node:test'
import { loadConfiguration } from '@cloudless/base'
import { advertisedAddresses, certificateNames, requireAddress } from './addresses.ts'
import { coordinatorSettings, type CoordinatorSettings } from './settings.ts'

const readFile = (): never => assert.fail('no file is named')

function settingsOf(...args: string[]): CoordinatorSettings {
  const result = loadConfiguration(coordinatorSettings, { args, env: {}, readFile })
  return result.kind === 'ok' ? result.values : assert.fail(JSON.stringify(result))
}

test('an address without a host means all of ours', () => {
  assert.deepEqual(requireAddress(':8080'), { host: '0.0.0.0', port: 8080 })
  assert.deepEqual(requireAddress('[::1]:8080'), { host: '::1', port: 8080 })
  assert.throws(() => requireAddress('8080'), { code: 'invalid_argument' })
})

test('agents are told what the operator says, else where we listen, never "all"', () => {
  const told = ['--bind-addr', ':8080', '--advertise-addr', 'cloud.example:443']
  assert.deepEqual(advertisedAddresses(settingsOf(...told)), ['cloud.example:443'])
  assert.deepEqual(advertisedAddresses(settingsOf('--bind-addr', '[::1]:8080')), ['[::1]:8080'])
  for (const address of advertisedAddresses(settingsOf('--bind-addr', ':8080'))) {
    assert.match(address, /^(?!0\.0\.0\.0)\d+\.\d+\.\d+\.\d+:8080$/)
  }
})

test('the certificate holds every name by which anybody may call', () => {
  const { dnsNames, ipAddresses } = certificateNames(
    settingsOf('--advertise-addr', 'cloud.example:443', '--tls-names', 'home.example,192.0.2.7'),
  )
  for (const name of ['localhost', 'cloud.example', 'home.example']) {
    assert.ok(dnsNames.includes(name), name)
  }
  assert.ok(ipAddresses.includes('192.0.2.7') && ipAddresses.includes('127.0.0.1'))
  assert.ok(ipAddresses.every((address) => isIP(address) !== 0))
  assert.equal(new Set([...dnsNames, ...ipAddresses]).size, dnsNames.length + ipAddresses.length)
})
