import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ReplicaRecord } from '@cloudless/api'
import { readyReplica, replicaRecord, workloadRecord } from '../testing/records.ts'
import { stopping } from './replica-records.ts'
import { pendingAdvice, readyReplicasOf } from './pending-advice.ts'

const onNode = (id: string, facts: { replaceReason?: string } = {}): ReplicaRecord =>
  readyReplica(id, 'node-a', {
    ...facts,
    replaceWanted: facts.replaceReason !== undefined,
    status: { nodeName: 'attic' },
  })
const updated = replicaRecord('new', { status: { revision: 2n } })
const successor = replicaRecord('new', { status: { replaces: 'old' } })
const oneOf = (replicas: number, rollout = {}) =>
  workloadRecord({ revision: 2n, spec: { replicas, rollout } })

const cases: readonly [
  string,
  ReplicaRecord,
  number,
  object,
  ReplicaRecord[],
  RegExp | undefined,
][] = [
  ['of a new workload needs none', updated, 1, {}, [], undefined],
  [
    'of an update without a gap allowed is told of max_unavailable',
    updated,
    1,
    {},
    [onNode('old')],
    /max_unavailable to 1 or rollout\.strategy to RECREATE/,
  ],
  [
    'of an update that will make room by itself needs none',
    updated,
    1,
    { maxUnavailable: 1 },
    [onNode('old')],
    undefined,
  ],
  [
    'of an update with replicas to spare needs none',
    updated,
    2,
    {},
    [onNode('b'), onNode('c')],
    undefined,
  ],
  [
    'of an update whose old replica is leaving needs none',
    updated,
    1,
    {},
    [stopping(onNode('old'), 'updated', undefined)],
    undefined,
  ],
  [
    'that is to run elsewhere says who stays meanwhile, and how to call it off',
    successor,
    1,
    {},
    [onNode('old', { replaceReason: 'rescheduled' })],
    /old runs on attic until .* workload restart web/,
  ],
  [
    'that stands in for a drained one says who stays meanwhile',
    successor,
    1,
    {},
    [onNode('old', { replaceReason: 'drained' })],
    /^old runs on attic until another node can take this one$/,
  ],
]

for (const [name, replica, replicas, rollout, siblings, expected] of cases) {
  test(`a waiting replica ${name}`, () => {
    const advice = pendingAdvice(replica, oneOf(replicas, rollout), {
      find: (id) => siblings.find(({ status }) => status!.id === id),
      ready: () => readyReplicasOf([...siblings, replica]),
    })
    if (expected === undefined) assert.equal(advice, undefined)
    else assert.match(advice ?? '', expected)
  })
}
