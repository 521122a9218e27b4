/**
 * Each case: what the workload asks for, how the original is found, who else is there, and what follows.
 *
 * Others are written `id@node`, with words for what is special of them: `lost`, `stopping`, `marked`, `starting`, `old`
 * (of the revision before), `<web-1` (stands in for web-1). A node of "-" is none: it waits for a place.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { create } from '@bufbuild/protobuf'
import {
  ReplicaObservationSchema,
  ReplicaState,
  RolloutStrategyKind,
  WorkloadType,
  type ReplicaRecord,
  type WorkloadRecord,
} from '@cloudless/api'
import { readyReplica, workloadRecord } from '../testing/records.ts'
import { decideReturn, isPeer, type Household } from './decide-return.ts'
import { isLive } from './replica-facts.ts'

const lostAtMs = 100n
const zones: Readonly<Record<string, string>> = { a: 'cellar', b: 'attic', c: 'attic', d: 'cellar' }

function replica(text: string): ReplicaRecord {
  const [where, ...words] = text.split(' ')
  const [id, node] = where!.split('@')
  const nodeId = node === '-' ? '' : node!
  const has = (word: string): boolean => words.includes(word)
  const state = has('lost') ? ReplicaState.LOST : ReplicaState.RUNNING
  const replaces = words.find((word) => word.startsWith('<'))?.slice(1) ?? ''
  const ready = nodeId !== '' && !has('lost') && !has('starting')
  const isLate = replaces !== '' || has('late')
  return readyReplica(id!, nodeId, {
    stopping: has('stopping'),
    replaceWanted: has('marked'),
    status: {
      ...{ state, ready, replaces },
      revision: has('old') ? 1n : 2n,
      createdAtMs: isLate ? 200n : 1n,
      startedAtMs: isLate ? 200n : 1n,
      score: has('fine') ? 0.9 : 0.5,
    },
  })
}

function stateOf(found: string): ReplicaState {
  if (found.includes('done')) return ReplicaState.STOPPED
  if (found.includes('going')) return ReplicaState.STOPPING
  return found.includes('booted') ? ReplicaState.STARTING : ReplicaState.RUNNING
}

const byId = (replicas: readonly ReplicaRecord[]): ReadonlyMap<string, ReplicaRecord> =>
  new Map(replicas.map((one) => [one.status!.id, one]))

function judge(
  workload: WorkloadRecord | undefined,
  original: string,
  found: string,
  others: string,
): string {
  const record = { ...replica(`${original} lost`), lostAtMs }
  const replicas = [record, ...others.split(', ').filter(Boolean).map(replica)]
  const household: Household = {
    workload,
    live: byId(replicas.filter(isLive)),
    peers: byId(replicas.filter((r) => isLive(r) && isPeer(r, 2n))),
    replacing: (id) => replicas.filter((r) => r.status!.replaces === id),
    zoneOf: (nodeId) => zones[nodeId] ?? '',
  }
  const observation = create(ReplicaObservationSchema, {
    replicaId: 'web-1',
    state: stateOf(found),
    ready: found.includes('ready'),
    startedAtMs: found.includes('restarted') ? 300n : 1n,
  })
  const mustLeave = found.includes('drained')
  const { kind, rival } = decideReturn(household, { original: record, observation, mustLeave })
  return rival ? `${kind}, not ${rival.status!.id}`.replace(/(lend|fence), not/, '$1 for') : kind
}

const web = (replicas: number, onReturn = '', recreate = false): WorkloadRecord => {
  const strategy = recreate ? RolloutStrategyKind.RECREATE : RolloutStrategyKind.ROLLING_UPDATE
  const spec = { replicas, onDisconnect: { onReturn }, rollout: { strategy } }
  return workloadRecord({ revision: 2n, spec })
}

const cases = [
  ['it is kept where nothing took its place', web(1), 'ready', '', 'keep'],
  ['also when it has yet to start', web(1), 'booted', '', 'keep'],
  ['a successor without a place is dropped for it', web(1), 'ready', 'w@- <web-1', 'keep, not w'],
  ['also when it has yet to start', web(1), 'booted', 'w@- <web-1', 'keep, not w'],
  ['the surplus one goes', web(1), 'ready', 'w@b <web-1', 'keep, not w'],
  ['no other than the surplus one', web(2), 'ready', 'x@c late, w@b <web-1', 'keep, not w'],
  ['neither serves yet: it stays', web(1), 'running', 'w@b <web-1 starting', 'keep, not w'],
  ['what does not serve displaces none that does', web(1), 'running', 'w@b <web-1', 'fence for w'],
  ['after a boot the other stays', web(1), 'booted', 'w@b <web-1 starting', 'fence for w'],
  ['the last of a line goes', web(1), 'ready', 'w@b lost <web-1, v@c <w', 'keep, not v'],
  ['a broken line is guessed', web(1), 'ready', 'v@c <gone', 'keep, not v'],
  ['a drained heir has gone on', web(1), 'ready', 'w@b marked <web-1, v@c <w', 'keep, not v'],
  ['a gap is filled by it', web(2), 'ready', 'w@b <web-1', 'keep'],
  ['with fewer wanted it goes', web(1), 'ready', 'x@c', 'fence'],
  ['with none wanted it goes', web(0), 'ready', '', 'fence'],
  ['what is being stopped already goes on going', web(1), 'going', '', 'fence'],
  ['of a deleted workload it goes', undefined, 'ready', '', 'fence'],
  ['to a drained node it is not back', web(1), 'ready drained', 'w@b <web-1', 'fence'],
  ['unless it is needed', web(1), 'ready drained', 'w@b <web-1 starting', 'lend'],
  ['or nothing else has a place', web(1), 'booted drained', 'w@- <web-1', 'lend'],
  ['the replacement stays', web(1, 'replacement'), 'ready', 'w@b <web-1', 'fence for w'],
  ['once it is ready', web(1, 'replacement'), 'ready', 'w@b <web-1 starting', 'lend for w'],
  ['neither serves', web(1, 'replacement'), 'running', 'w@b <web-1 starting', 'fence for w'],
  ['the elder stays', web(1, 'longest_running'), 'ready', 'w@b <web-1', 'keep, not w'],
  [
    'a restart made it the younger',
    web(1, 'longest_running'),
    'ready restarted',
    'w@b <web-1',
    'fence for w',
  ],
  ['the lonelier zone wins', web(2, 'best_placed'), 'ready', 'x@c, w@b <web-1', 'keep, not w'],
  ['also against it', web(2, 'best_placed'), 'ready', 'x@d, w@b <web-1', 'fence for w'],
  ['then the score', web(1, 'best_placed'), 'ready', 'w@b <web-1 fine', 'fence for w'],
  [
    'RECREATE lends nothing',
    web(1, 'replacement', true),
    'ready',
    'w@b <web-1 starting',
    'fence for w',
  ],
] as const
for (const [property, workload, found, others, expected] of cases) {
  test(`${property}: ${found}; ${others || 'nobody'}`, () => {
    assert.equal(judge(workload, 'web-1@a', found, others), expected)
  })
}

const of = (type: WorkloadType, onReturn = '') =>
  workloadRecord({ revision: 2n, spec: { type, replicas: 0, onDisconnect: { onReturn } } })
const daemon = of(WorkloadType.DAEMON)
const job = of(WorkloadType.JOB)
for (const [property, workload, found, others, expected] of [
  ['a daemon belongs to its node', daemon, 'ready', 'x@b, y@c', 'keep'],
  ['also after a boot', daemon, 'booted', 'x@b', 'keep'],
  ['unless another is there', daemon, 'ready', 'x@a', 'fence'],
  ['or it may not be there any more', daemon, 'ready drained', 'x@b', 'fence'],
  ['an attempt of a job goes on', job, 'running', 'w@b <web-1', 'keep, not w'],
  ['also alone', job, 'booted', 'x@b', 'keep'],
  ['what is done is done', job, 'done', 'w@b <web-1', 'keep, not w'],
  ['not when it would begin anew', job, 'booted', 'w@b <web-1', 'fence for w'],
  [
    'nor when the other is preferred',
    of(WorkloadType.JOB, 'replacement'),
    'running',
    'w@b <web-1',
    'fence for w',
  ],
] as const) {
  test(`${property}: ${found}; ${others}`, () => {
    assert.equal(judge(workload, 'web-1@a', found, others), expected)
  })
}

test('an outdated original goes, unless fewer than wanted are ready without it', () => {
  assert.equal(judge(web(1), 'web-1@a old', 'ready', 'w@b <web-1'), 'fence')
  assert.equal(judge(web(2), 'web-1@a old', 'ready', 'w@b <web-1, x@c starting'), 'lend')
})

class NeverWalked extends Map<string, ReplicaRecord> {
  override values(): never {
    throw new Error('all replicas of the workload are gone through for one that returns')
  }
}

test('one of many that return is decided without going through all of its workload', () => {
  const record = { ...replica('web-1@a lost'), lostAtMs }
  const heir = replica('web-2@b <web-1')
  const known = new NeverWalked([['web-2', heir]])
  const judged = (wanted: number): string =>
    decideReturn(
      {
        ...{ workload: web(wanted, 'original'), live: known, peers: known },
        replacing: (id) => (id === 'web-1' ? [heir] : []),
        zoneOf: () => '',
      },
      {
        original: record,
        observation: create(ReplicaObservationSchema, { state: ReplicaState.RUNNING, ready: true }),
        mustLeave: false,
      },
    ).kind
  assert.equal(judged(2), 'keep')
  assert.equal(judged(1), 'keep')
})
