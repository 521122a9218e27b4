import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { create, type MessageInitShape } from '@bufbuild/protobuf'
import { NodeSchema, PowerSource, type NodePolicySchema } from '@cloudless/api'
import { nodeLink, nodePolicy, nodePower } from './node.ts'

describe('what a node runs on', () => {
  for (const [property, capabilities, expected] of [
    ['is not known before it has said', undefined, ''],
    ['is not known of an agent that does not say', {}, ''],
    ['is the mains', { powerSource: PowerSource.MAINS, batteryPercent: -1 }, 'mains'],
    [
      'is the mains, charging',
      { powerSource: PowerSource.MAINS, batteryPercent: 80 },
      'mains (80%)',
    ],
    [
      'is an empty battery',
      { powerSource: PowerSource.BATTERY, batteryPercent: 0 },
      'battery (0%)',
    ],
  ] as const) {
    test(property, () => {
      const node = create(NodeSchema, capabilities === undefined ? {} : { capabilities })
      assert.equal(nodePower(node), expected)
    })
  }
})

test('a link is metered, is not, or is not known', () => {
  const link = (meteredLink: boolean): string =>
    nodeLink(create(NodeSchema, { capabilities: { meteredLink } }))
  assert.deepEqual([link(true), link(false)], ['metered', 'not metered'])
  assert.equal(nodeLink(create(NodeSchema)), '')
})

test('a policy is told as a whole, or is not known', () => {
  const policy = (policy: MessageInitShape<typeof NodePolicySchema>): string =>
    nodePolicy(create(NodeSchema, { capabilities: { policy } }))
  assert.equal(
    policy({}),
    'privileged no; host namespaces no; host paths none; runtime classes none; ' +
      'security modules none',
  )
  const open = {
    allowPrivileged: true,
    allowHostNamespaces: true,
    hostPathPrefixes: ['/srv', '/data'],
    runtimeClasses: ['runc', 'gvisor'],
    securityModules: ['apparmor'],
  }
  assert.equal(
    policy(open),
    'privileged yes; host namespaces yes; host paths /srv, /data; runtime classes runc, gvisor; ' +
      'security modules apparmor',
  )
  assert.equal(nodePolicy(create(NodeSchema, { capabilities: {} })), '')
})
