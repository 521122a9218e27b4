import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ReplicaState, WorkloadPhase, type ReplicaStatus } from '@cloudless/api'
import { aReplica, aWorkload } from '../testing/fake-state.ts'
import { readinessOf, type Readiness } from './readiness.ts'

type Observed = Pick<ReplicaStatus, 'state' | 'ready'> & { nodeId?: string }

const states: Readonly<Record<string, Observed>> = {
  ready: { state: ReplicaState.RUNNING, ready: true },
  running: { state: ReplicaState.RUNNING, ready: false },
  starting: { state: ReplicaState.STARTING, ready: false },
  pending: { state: ReplicaState.PENDING, ready: false, nodeId: '' },
  stopping: { state: ReplicaState.STOPPING, ready: false },
  stopped: { state: ReplicaState.STOPPED, ready: false },
  failed: { state: ReplicaState.FAILED, ready: false },
  lost: { state: ReplicaState.LOST, ready: false },
}

/** "ready@2 starting": replicas of revision 2 (the current, unless said) in these states; two are wanted. */
function judge(text: string, phase: WorkloadPhase = WorkloadPhase.RUNNING): Readiness {
  const workload = aWorkload({ name: 'web', revision: 2n, status: { phase } })
  const replicas = text
    .split(' ')
    .filter(Boolean)
    .map((word, index) => {
      const [state, revision = '2'] = word.split('@')
      return aReplica(workload, String(index), { ...states[state!], revision: BigInt(revision) })
    })
  workload.status!.replicas = replicas
  return readinessOf(workload)
}

for (const [property, replicas, kind] of [
  ['every replica ready is ready', 'ready ready', 'ready'],
  ['nothing there yet is waited for, whatever the phase says', '', 'waiting'],
  ['one that runs and is not ready is waited for', 'ready running', 'waiting'],
  ['ready ones of the old revision do not count', 'ready@1 ready@1', 'waiting'],
  ['old ones that are still there are waited for', 'ready ready ready@1', 'waiting'],
  ['old ones that are over do not matter', 'ready ready stopped@1 lost@1 failed@1', 'ready'],
  ['surplus ones are waited for', 'ready ready ready', 'waiting'],
  ['ones that stop are waited for', 'ready ready stopping', 'waiting'],
  ['a lost one is waited for until it is replaced', 'ready lost', 'waiting'],
  ['a lost one that was replaced does not matter', 'ready ready lost', 'ready'],
  ['one that has given up fails', 'ready failed', 'failed'],
  ['a pending one is waited for', 'ready pending', 'waiting'],
] as const) {
  test(property, () => assert.equal(judge(replicas).kind, kind))
}

test('a workload whose replicas have all ended well is ready', () => {
  assert.equal(judge('stopped stopped', WorkloadPhase.SUCCEEDED).kind, 'ready')
})

test('only replicas that are not ready have a line', () => {
  const { summary, replicaLines } = judge('ready starting')
  assert.equal(summary, 'workload web: 1 of 2 replicas ready')
  assert.deepEqual(replicaLines, ['  web-1: STARTING on a'])
})
