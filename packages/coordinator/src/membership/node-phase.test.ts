import assert from 'node:assert/strict'
import { test } from 'node:test'
import { NodePhase } from '@cloudless/api'
import { enumName } from '../state/enum-names.ts'
import { nodeRecord, type NodeFacts } from '../testing/records.ts'
import { habitsOfNewcomer } from './habits.ts'
import type { Liveness } from './liveness.ts'
import { nodePhase } from './node-phase.ts'

const habits = habitsOfNewcomer(500)
const heard = { heardAtMs: 0, beatAtMs: 0, gapMs: 0, isWelcomed: true }
const connected: Liveness = { kind: 'connected', ...heard, habits }
const reset: Liveness = { kind: 'reset', resetAtMs: 0, deadlineMs: 0, habits }
const leaving: Liveness = { kind: 'leaving', deadlineMs: 0, habits }
const absent: Liveness = { kind: 'absent', deadlineMs: 0, habits }
const lost: Liveness = { kind: 'lost', cause: 'silence', lostAtMs: 0, habits }
const { ENROLLING, OFFLINE, READY, CORDONED } = NodePhase

const cases: readonly [string, NodeFacts, Liveness | undefined, boolean, string][] = [
  ['a connected node is ready', { phase: OFFLINE }, connected, true, 'READY'],
  ['one that was reset still is, for its grace', {}, reset, true, 'READY'],
  ['one that said goodbye still is, until it is due', {}, leaving, true, 'READY'],
  ['a lost one is not', {}, lost, true, 'OFFLINE'],
  ['a lost one that drains is not', { drainStartedAtMs: 1n }, lost, true, 'OFFLINE'],
  ['one that is waited for stays as it was', { phase: CORDONED }, absent, true, 'CORDONED'],
  ['one not heard of stays as it was', { phase: READY }, undefined, true, 'READY'],
  ['one that never connected is enrolling', { phase: ENROLLING }, lost, true, 'ENROLLING'],
  ['until it does', { phase: ENROLLING }, connected, true, 'READY'],
  ['without its runtime it has failed', {}, connected, false, 'FAILED'],
  ['a cordon shows', { node: { unschedulable: true } }, connected, true, 'CORDONED'],
  [
    'a drain goes before a cordon',
    { drainStartedAtMs: 1n, node: { unschedulable: true } },
    connected,
    true,
    'DRAINING',
  ],
]
for (const [name, facts, liveness, runtimeReady, expected] of cases) {
  test(name, () => {
    const { phase, message } = nodePhase(nodeRecord('node-a', facts), liveness, runtimeReady)
    assert.equal(enumName(NodePhase, phase), expected)
    if (phase === OFFLINE || phase === NodePhase.FAILED) assert.notEqual(message, '')
  })
}
