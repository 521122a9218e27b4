import assert from 'node:assert/strict'
import { test } from 'node:test'
import { forwardingRules } from './forwarding.ts'

test('masquerades what leaves the cluster and nothing else', () => {
  const rules = forwardingRules({
    podCidr: '10.1.2.0/24',
    clusterCidr: '10.1.0.0/16',
    bridgeName: 'b',
  })
  const [masquerade] = rules
  assert.equal(masquerade?.chain, 'POSTROUTING')
  assert.deepEqual(masquerade?.rule.slice(0, 5), ['-s', '10.1.2.0/24', '!', '-d', '10.1.0.0/16'])
})
