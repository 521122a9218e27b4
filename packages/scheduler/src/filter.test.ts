import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { countRejections, describeRejections } from './filter.ts'
import { noResources, type Affinity, type NodeView, type PendingReplica } from './model.ts'
import { explain } from './schedule.ts'
import { aNode, aReplica, gibibyte } from './test-views.ts'

function reasonOf(replica: Partial<PendingReplica>, node: Partial<NodeView>): string | undefined {
  const [verdict] = explain([aNode('a', node)], aReplica('web-1', replica))
  return verdict?.kind === 'rejected' ? verdict.reason : undefined
}

const taint = { key: 'dedicated', value: 'api', effect: 'NoSchedule' } as const
const tolerate = { key: 'dedicated', value: 'api', operator: 'Equal', effect: undefined } as const

describe('a node', () => {
  for (const [property, replica, node, reason] of [
    ['that is ready is taken', {}, {}, undefined],
    ['that is cordoned is not', {}, { phase: 'cordoned' }, 'cordoned'],
    ['that is offline is not', {}, { phase: 'offline' }, 'offline'],
    ['not heard from is not', {}, { phase: 'unknown' }, 'not heard from'],
    [
      'the replica leaves is not',
      { excludedNodeIds: ['node-a'] },
      {},
      'excluded, the replica was moved off',
    ],
    [
      'without the memory is not',
      { requests: { ...noResources, memoryBytes: 9 * gibibyte } },
      {},
      'not enough memory',
    ],
    [
      'whose rest is too small is not',
      {},
      { reserved: { ...noResources, cpuMillis: 3_501 } },
      'not enough CPU',
    ],
    [
      'whose port is taken is not',
      { hostPorts: ['80/TCP'] },
      { hostPorts: new Set(['80/TCP']) },
      'host port 80/TCP taken',
    ],
    [
      'with the port in the other protocol is',
      { hostPorts: ['80/TCP'] },
      { hostPorts: new Set(['80/UDP']) },
      undefined,
    ],
    ['with a taint is not', {}, { taints: [taint] }, 'tainted dedicated=api'],
    ['with a tolerated taint is', { tolerations: [tolerate] }, { taints: [taint] }, undefined],
    [
      'with a taint of another value is not',
      { tolerations: [{ ...tolerate, value: 'db' }] },
      { taints: [taint] },
      'tainted dedicated=api',
    ],
    [
      'with a taint tolerated for another effect is not',
      { tolerations: [{ ...tolerate, effect: 'NoExecute' }] },
      { taints: [taint] },
      'tainted dedicated=api',
    ],
    [
      'is taken by what tolerates everything',
      { tolerations: [{ key: '', value: '', operator: 'Exists', effect: undefined }] },
      { taints: [taint, { key: 'b', value: '', effect: 'NoExecute' }] },
      undefined,
    ],
    [
      'merely discouraged is',
      {},
      { taints: [{ ...taint, effect: 'PreferNoSchedule' }] },
      undefined,
    ],
    [
      'without a label is not',
      { nodeSelector: { disk: 'ssd' } },
      { labels: { disk: 'hdd' } },
      'labels do not match the node selector',
    ],
    [
      'has labels by nature',
      { nodeSelector: { 'cloudless.io/arch': 'amd64', 'cloudless.io/zone': 'zone-a' } },
      {},
      undefined,
    ],
    ['in another region is not', { regions: ['eu'] }, {}, 'not in a wanted region'],
    ['in another zone is not', { zones: ['zone-b'] }, {}, 'not in a wanted zone'],
    ['in a named zone is', { regions: ['eu', 'home'], zones: ['zone-a'] }, {}, undefined],
    ['of another architecture is not', { architectures: ['arm64'] }, {}, 'no image for amd64'],
    [
      'without the GPU is not',
      { gpuModels: ['nvidia-a100'] },
      { gpuModels: ['amd-mi250'] },
      'no GPU of a wanted model',
    ],
    ['with a slower disk is not', { iopsClass: 'high' }, {}, 'disk too slow'],
    ['with a faster disk is', { iopsClass: 'low' }, {}, undefined],
    [
      'whose disk is full is not, for what needs disk',
      { requests: { ...noResources, storageBytes: 1 } },
      { diskPressure: true },
      'disk nearly full',
    ],
    ['whose disk is full is, for what needs none', {}, { diskPressure: true }, undefined],
  ] as [string, Partial<PendingReplica>, Partial<NodeView>, string | undefined][]) {
    it(property, () => assert.equal(reasonOf(replica, node), reason))
  }

  for (const [requirement, labels, met] of [
    ['In a,b', { k: 'b' }, true],
    ['In a,b', {}, false],
    ['NotIn a', { k: 'a' }, false],
    ['NotIn a', {}, true],
    ['Exists', { k: '' }, true],
    ['Exists', {}, false],
    ['DoesNotExist', {}, true],
    ['Gt 3', { k: '4' }, true],
    ['Gt 3', { k: '3' }, false],
    ['Gt 3', { k: 'many' }, false],
    ['Gt -1', { k: '' }, false],
    ['Lt 3', { k: '2' }, true],
    ['Lt 3', {}, false],
  ] as const) {
    it(`with ${JSON.stringify(labels)} ${met ? 'meets' : 'does not meet'} "${requirement}"`, () => {
      const [operator, values] = requirement.split(' ')
      const one = { key: 'k', operator: operator as 'In', values: values?.split(',') ?? [] }
      assert.equal(reasonOf({ nodeRequirements: [one] }, { labels }) === undefined, met)
    })
  }
})

describe('an affinity', () => {
  const base: Affinity = {
    subject: 'workload',
    matchLabels: { app: 'db' },
    topologyKey: 'node',
    required: true,
    weight: 1,
  }
  const database = { id: 'db-1', workloadId: 'default-db', labels: { app: 'db' } }
  const nodes = [
    aNode('a', { replicas: [database], labels: { disk: 'ssd' } }),
    aNode('b'),
    aNode('c', { zone: 'zone-c' }),
  ]
  const feasible = (replica: Partial<PendingReplica>) =>
    explain(nodes, aReplica('web-1', replica))
      .filter(({ kind }) => kind === 'feasible')
      .map(({ nodeId }) => nodeId.slice(-1))
      .join('')

  for (const [property, replica, expected] of [
    ['to a workload wants its node', { affinity: [base] }, 'a'],
    ['over zones wants its zone', { affinity: [{ ...base, topologyKey: 'zone' }] }, 'ab'],
    ['against a workload avoids its node', { antiAffinity: [base] }, 'bc'],
    [
      'against it over zones avoids its zone',
      { antiAffinity: [{ ...base, topologyKey: 'zone' }] },
      'c',
    ],
    ['that is a wish forbids nothing', { affinity: [{ ...base, required: false }] }, 'abc'],
    ['to what runs nowhere is not met', { affinity: [{ ...base, matchLabels: { app: 'x' } }] }, ''],
    [
      'to its own kind lets the first go anywhere',
      { affinity: [{ ...base, matchLabels: { app: 'web' } }] },
      'abc',
    ],
    ['over a label no node has is not met', { affinity: [{ ...base, topologyKey: 'rack' }] }, ''],
    [
      'to nodes wants their labels',
      { affinity: [{ ...base, subject: 'node', matchLabels: { disk: 'ssd' } }] },
      'a',
    ],
    [
      'against nodes avoids their labels',
      { antiAffinity: [{ ...base, subject: 'node', matchLabels: { disk: 'ssd' } }] },
      'bc',
    ],
  ] as [string, Partial<PendingReplica>, string][]) {
    it(property, () => assert.equal(feasible(replica), expected))
  }
})

describe('reasons', () => {
  it('are counted, the most common first', () => {
    const rejections = countRejections(['tainted a', 'not enough memory', 'not enough memory'])
    assert.equal(
      describeRejections(3, rejections),
      '0 of 3 nodes: 2 not enough memory, 1 tainted a',
    )
    assert.equal(describeRejections(0, []), 'there are no nodes')
  })

  it('are few, however many there are', () => {
    const rejections = countRejections(Array.from({ length: 500 }, (_, n) => `tainted t${n}`))
    assert.equal(rejections.length, 10)
    assert.deepEqual(rejections.at(-1), { reason: 'other reasons', nodeCount: 491 })
  })
})
