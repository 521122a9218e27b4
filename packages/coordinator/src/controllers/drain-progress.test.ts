import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ReplicaState, WorkloadType, type ReplicaRecord } from '@cloudless/api'
import { readyReplica, replicaRecord, workloadRecord } from '../testing/records.ts'
import { drainProgress, reasonToStay } from './drain-progress.ts'
import { stopping } from './replica-records.ts'

const old = readyReplica('web-1', 'node-a', { replaceWanted: true, replaceReason: 'drained' })
const other = readyReplica('web-0', 'node-b')
const waiting = replicaRecord('web-2', {
  status: {
    replaces: 'web-1',
    pendingReasons: [
      { reason: 'not enough memory', nodeCount: 2 },
      { reason: 'draining', nodeCount: 1 },
    ],
  },
})
const due = replicaRecord('web-2', { status: { replaces: 'web-1' } })
const onAttic = { nodeId: 'node-b', nodeName: 'attic', replaces: 'web-1' }
const starting = replicaRecord('web-2', {
  status: { ...onAttic, state: ReplicaState.STARTING, message: 'pulling nginx:1' },
})
const unready = replicaRecord('web-2', { status: { ...onAttic, state: ReplicaState.RUNNING } })
const successor = readyReplica('web-2', 'node-b', { status: onAttic })
const two = workloadRecord({ spec: { replicas: 2, rollout: { maxSurge: 1, minAvailable: 2 } } })
const tight = workloadRecord({
  spec: { replicas: 2, rollout: { maxSurge: 0, maxUnavailable: 1, minAvailable: 2 } },
})

const cases: readonly [
  string,
  ReplicaRecord,
  typeof two | undefined,
  readonly ReplicaRecord[],
  string,
][] = [
  ['on its way out', stopping(old, 'drained', undefined), two, [], 'is being stopped'],
  ['of a workload that is gone', old, undefined, [], 'its workload is gone: it is stopped next'],
  [
    'nothing can take it',
    ...([old, two, [old, other, waiting]] as const),
    'its replacement web-2 waits for a place: 0 of 3 nodes: 2 not enough memory, 1 draining',
  ],
  ['it was just made', old, two, [old, due], 'its replacement web-2 is given a place'],
  [
    'it is made ready',
    ...([old, two, [old, starting]] as const),
    'its replacement web-2 is starting on attic: pulling nginx:1',
  ],
  ['it runs', old, two, [old, unready], 'its replacement web-2 is not ready yet on attic'],
  [
    'it is ready',
    ...([old, two, [old, other, successor]] as const),
    'its replacement web-2 is ready: it is stopped next',
  ],
  [
    'too few others are ready',
    ...([old, two, [old, successor]] as const),
    'stopping it would leave 1 of min_available 2',
  ],
  [
    'its workload leaves no way',
    ...([old, tight, [old, other]] as const),
    'stopping it would leave 1 of min_available 2, and with max_surge 0 there are never more than 2 replicas',
  ],
  [
    'enough others are ready',
    ...([old, two, [old, other, readyReplica('web-3', 'node-b')]] as const),
    'waits for its turn',
  ],
]
for (const [property, replica, workload, siblings, expected] of cases) {
  test(`what is left says why: ${property}`, () => {
    assert.equal(reasonToStay(replica, workload, siblings), expected)
  })
}

test('daemons and what was lost with the node are not waited for', () => {
  const daemon = readyReplica('log-1', 'node-a', { spec: { type: WorkloadType.DAEMON } as never })
  const lost = readyReplica('web-3', 'node-a', { status: { state: ReplicaState.LOST } })
  assert.deepEqual(drainProgress([old, daemon, lost]), { left: 1, daemons: 1 })
})
