/** What the filters that look at what is left on a node say of it, and the order in which all are asked. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { explain } from '../explain.ts'
import { noResources, type NodeView, type ReplicaKind, type Resources } from '../model.ts'
import { aKind, aNode, gibibyte, pendingOf, placed, tableOf } from '../test-views.ts'
import { factFilters, placeFilters, roomFilters } from './all-filters.ts'

/** What is said of one node, with one replica on it that asks for `held`; "taints: tainted x" or "". */
function refusal(
  kind: Partial<ReplicaKind>,
  node: Partial<NodeView>,
  held: Partial<ReplicaKind> = { requests: noResources },
): string {
  const table = tableOf([aNode('a', node)], [placed('held', 'a', held)])
  const [verdict] = explain(table, pendingOf('new', aKind(kind)))
  assert.ok(verdict)
  return verdict.kind === 'rejected' ? `${verdict.filter}: ${verdict.reason}` : ''
}

describe('beside half of what a node has', () => {
  const allocatable: Resources = {
    cpuMillis: 1_000,
    memoryBytes: 1_000,
    storageBytes: 1_000,
    bandwidthBps: 1_000,
    gpuCount: 4,
  }
  const held: Resources = {
    cpuMillis: 500,
    memoryBytes: 500,
    storageBytes: 500,
    bandwidthBps: 500,
    gpuCount: 2,
  }
  for (const [asked, lack] of [
    [{}, ''],
    [{ cpuMillis: 500 }, ''],
    [{ cpuMillis: 501 }, 'CPU'],
    [{ memoryBytes: 500 }, ''],
    [{ memoryBytes: 501 }, 'memory'],
    [{ storageBytes: 500 }, ''],
    [{ storageBytes: 501 }, 'storage'],
    [{ bandwidthBps: 500 }, ''],
    [{ bandwidthBps: 501 }, 'bandwidth'],
    [{ gpuCount: 2 }, ''],
    [{ gpuCount: 3 }, 'GPUs'],
    [held, ''],
    [{ memoryBytes: 501, cpuMillis: 501 }, 'CPU'],
  ] as readonly [Partial<Resources>, string][]) {
    it(`${JSON.stringify(asked)} ${lack === '' ? 'fits' : `lacks ${lack}`}`, () => {
      const kind = { requests: { ...noResources, ...asked } }
      assert.equal(
        refusal(kind, { allocatable }, { requests: held }),
        lack === '' ? '' : `resources: not enough ${lack}`,
      )
    })
  }

  it('nobody asks for what is not wanted, even where more is held than there is', () => {
    const crowd = { requests: { ...noResources, cpuMillis: 5_000 } }
    assert.equal(
      refusal({ requests: { ...noResources, memoryBytes: 1 } }, { allocatable }, crowd),
      '',
    )
    assert.equal(
      refusal({ requests: { ...noResources, cpuMillis: 1 } }, { allocatable }, crowd),
      'resources: not enough CPU',
    )
  })

  for (const holding of ['holding', 'leaving', 'nominated'] as const) {
    it(`what is ${holding} takes room and host ports`, () => {
      const one = placed('one', 'a', { requests: held, hostPorts: ['80/TCP'] }, holding)
      const table = tableOf([aNode('a', { allocatable })], [one])
      const reasonOf = (kind: Partial<ReplicaKind>): string => {
        const [verdict] = explain(table, pendingOf('new', aKind(kind)))
        return verdict?.kind === 'rejected' ? verdict.reason : ''
      }
      assert.equal(reasonOf({ requests: { ...noResources, gpuCount: 3 } }), 'not enough GPUs')
      assert.equal(
        reasonOf({ requests: noResources, hostPorts: ['80/TCP'] }),
        'host port 80/TCP taken',
      )
    })
  }
})

describe('a host port', () => {
  for (const [property, asked, held, expected] of [
    ['is given once', ['80/TCP'], ['80/TCP'], 'host-ports: host port 80/TCP taken'],
    ['is free in the other protocol', ['80/TCP'], ['80/UDP'], ''],
    ['is free when others are taken', ['80/TCP'], ['443/TCP'], ''],
    [
      'is named when it is one of many',
      ['80/TCP', '443/TCP'],
      ['443/TCP'],
      'host-ports: host port 443/TCP taken',
    ],
  ] as const) {
    it(property, () => {
      assert.equal(
        refusal(
          { requests: noResources, hostPorts: asked },
          {},
          { requests: noResources, hostPorts: held },
        ),
        expected,
      )
    })
  }
})

describe('the order of the filters', () => {
  it('is the one in which a node is judged: the first reason is the one that is told', () => {
    const order = [...factFilters, ...roomFilters, ...placeFilters].map(({ name }) => name)
    assert.deepEqual(order, [
      'phase',
      'taints',
      'policy',
      'selector',
      'location',
      'platform',
      'gpu-model',
      'iops-class',
      'storage',
      'resources',
      'host-ports',
      'anti-affinity',
      'affinity',
      'topology-spread',
    ])
  })

  it('puts being moved off after what the node lacks', () => {
    const table = tableOf([aNode('a')])
    const reasonOf = (kind: Partial<ReplicaKind>): string => {
      const [verdict] = explain(table, pendingOf('new', aKind(kind), ['node-a']))
      return verdict?.kind === 'rejected' ? `${verdict.filter}: ${verdict.reason}` : ''
    }
    assert.equal(reasonOf({}), 'excluded: excluded, the replica was moved off')
    assert.equal(
      reasonOf({ requests: { ...noResources, memoryBytes: 9 * gibibyte } }),
      'resources: not enough memory',
    )
  })
})
