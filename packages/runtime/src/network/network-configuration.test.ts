import assert from 'node:assert/strict'
import { test } from 'node:test'
import { bridgeConfiguration } from './network-configuration.ts'

test('asks for an address only where there is one to ask for', () => {
  const options = {
    bridgeName: 'b',
    podCidr: '10.1.0.0/16',
    addressDirectory: '/a',
    mtu: undefined,
  }
  const without = bridgeConfiguration({ ...options, address: undefined })
  assert.equal('args' in without, false)
  assert.equal('mtu' in without, false)
  const { args } = bridgeConfiguration({ ...options, address: '10.1.0.9' })
  assert.deepEqual(args, { cni: { ips: ['10.1.0.9/16'] } })
})

test('takes a bridge over that still has the address of an earlier subnet', () => {
  const configuration = bridgeConfiguration({
    bridgeName: 'b',
    podCidr: '10.1.0.0/16',
    addressDirectory: '/a',
    mtu: undefined,
    address: undefined,
  })
  assert.equal(configuration['forceAddress'], true)
})
