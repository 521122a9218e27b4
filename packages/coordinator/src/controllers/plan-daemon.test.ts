import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { create } from '@bufbuild/protobuf'
import * as fc from 'fast-check'
import { ReplicaState, RolloutStrategySchema, type ReplicaRecord } from '@cloudless/api'
import { readyReplica, replicaRecord } from '../testing/records.ts'
import { planNode, planUpdate, tallyOf, type Fit } from './plan-daemon.ts'

const shapes: Readonly<Record<string, (id: string) => ReplicaRecord>> = {
  waiting: (id) => replicaRecord(id),
  ready: (id) => readyReplica(id, 'node-a'),
  old: (id) => readyReplica(id, 'node-a', { status: { revision: 0n } }),
  starting: (id) => readyReplica(id, 'node-a', { status: { ready: false } }),
  marked: (id) => readyReplica(id, 'node-a', { replaceWanted: true }),
  stopping: (id) => readyReplica(id, 'node-a', { stopping: true, status: { ready: false } }),
  lost: (id) => readyReplica(id, 'node-a', { status: { ready: false, state: ReplicaState.LOST } }),
}

function replicas(text: string): ReplicaRecord[] {
  return [...text.matchAll(/(\w+) (\w+)/g)].map(([, id, shape]) => shapes[shape!]!(id!))
}

describe('on one node, a daemon', () => {
  const rows: readonly [property: string, fit: Fit, has: string, plan: string][] = [
    ['is made where it is wanted', 'wanted', '', 'make'],
    ['is left alone where it is', 'wanted', 'a ready', ''],
    ['is not made a second time while one waits', 'wanted', 'a waiting', ''],
    ['is not made before the one before has left', 'wanted', 'a stopping', ''],
    ['waits for one that was lost and may be taken back', 'wanted', 'a lost', ''],
    ['is left alone where nothing new may start', 'tolerated', 'a ready', ''],
    ['is not made where nothing new may start', 'tolerated', '', ''],
    ['is stopped where it does not belong any more', 'unwanted', 'a ready', 'stop a unwanted'],
    ['does not go on waiting for such a node', 'unwanted', 'a waiting', 'forget a'],
    ['is waited for while its node is away', 'away', 'a lost', ''],
    ['does not wait for a node that is away', 'away', 'a waiting', 'forget a'],
    ['does not wait for one that has left', 'gone', 'a waiting', 'forget a'],
    ['is never there twice', 'wanted', 'a starting, b ready', 'stop a scaled'],
  ]
  for (const [property, fit, has, expected] of rows) {
    it(property, () => {
      const { create, stop, forget } = planNode(fit, replicas(has))
      const said = [
        ...(create ? ['make'] : []),
        ...stop.map(({ replica, reason }) => `stop ${replica.status!.id} ${reason}`),
        ...forget.map((replica) => `forget ${replica.status!.id}`),
      ]
      assert.equal(said.join(', '), expected)
    })
  }
})

describe('a node of a daemon', () => {
  const rows: readonly [property: string, fit: Fit, has: string, tally: string][] = [
    ['counts before it has one', 'wanted', '', 'counted'],
    ['is ready with a ready one', 'wanted', 'a ready', 'counted ready'],
    ['is to be updated when that is old', 'wanted', 'a old', 'counted ready outdated'],
    [
      'is to be updated when that is to be replaced',
      'wanted',
      'a marked',
      'counted ready outdated',
    ],
    [
      'counts where nothing new may start as long as it has one',
      'tolerated',
      'a ready',
      'counted ready',
    ],
    ['does not count there without', 'tolerated', '', ''],
    ['does not count while it is away', 'away', 'a lost', ''],
    ['does not count where it is unwanted', 'unwanted', 'a ready', ''],
  ]
  for (const [property, fit, has, expected] of rows) {
    it(property, () => {
      const { isCounted, isReady, outdated } = tallyOf(fit, replicas(has), 1n)
      const words = [isCounted && 'counted', isReady && 'ready', outdated && 'outdated']
      assert.equal(words.filter(Boolean).join(' '), expected)
    })
  }
})

it('an update never takes more nodes than may be missing, nor goes below the ready that must stay', () => {
  const node = fc.constantFrom('old', 'ready', 'starting', 'marked', 'stopping')
  fc.assert(
    fc.property(
      fc.array(node, { minLength: 1, maxLength: 12 }),
      fc.integer({ min: 1, max: 4 }),
      fc.option(fc.integer({ min: 0, max: 12 }), { nil: undefined }),
      (nodes, maxUnavailable, minAvailable) => {
        const all = nodes.map((shape, n) => shapes[shape]!(`r${n}`))
        const outdated = all.filter((r) => tallyOf('wanted', [r], 1n).outdated !== undefined)
        const ready = all.filter((r) => r.status!.ready && !r.stopping).length
        const rollout = create(RolloutStrategySchema, {
          maxUnavailable,
          ...(minAvailable === undefined ? {} : { minAvailable }),
        })
        const next = planUpdate(rollout, { counted: nodes.length, ready }, outdated)
        const taken = next.filter((r) => r.status!.ready).length
        if (taken === 0) return
        assert.ok(nodes.length - (ready - taken) <= maxUnavailable)
        assert.ok(ready - taken >= (minAvailable ?? 0))
      },
    ),
  )
})
