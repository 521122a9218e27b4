import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { ClusterEvent } from './cluster-event.ts'
import { matchesFilter, problemWithFilter, type EventFilter } from './event-filter.ts'
import { eventSeverities, eventTypes, severityOf } from './event-types.ts'

const event: ClusterEvent = {
  sequence: 1,
  type: 'node.offline',
  severity: 'warning',
  timestampMs: 1_000,
  requestId: 'r',
  correlationId: 'c',
  actorType: 'system',
  actorId: 'coordinator-1',
  resourceType: 'node',
  resourceId: 'a',
  namespace: '',
  action: 'offline',
  description: 'x',
  metadata: {},
  success: true,
  error: '',
}

describe('the filter of events', () => {
  const cases: readonly (readonly [EventFilter, boolean])[] = [
    [{}, true],
    [{ types: [], severities: [], actorId: '', untilMs: 0 }, true],
    [{ types: ['node.offline'] }, true],
    [{ types: ['workload.*', 'node.*'] }, true],
    [{ types: ['workload.*'] }, false],
    [{ severities: ['warning', 'error'] }, true],
    [{ severities: ['info'] }, false],
    [{ actorId: 'coordinator-1' }, true],
    [{ actorId: 'coordinator' }, false],
    [{ resourceType: 'node', resourceId: 'a', correlationId: 'c' }, true],
    [{ resourceId: 'b' }, false],
    [{ correlationId: 'd' }, false],
    [{ namespace: 'default' }, false],
    [{ sinceMs: 1_000 }, true],
    [{ sinceMs: 1_001 }, false],
    [{ untilMs: 1_000 }, false],
    [{ sinceMs: 900, untilMs: 1_001 }, true],
    [{ types: ['node.*'], severities: ['info'] }, false],
  ]
  for (const [filter, matches] of cases) {
    it(`${matches ? 'takes' : 'leaves'} an event for ${JSON.stringify(filter)}`, () => {
      assert.equal(matchesFilter(filter, event), matches)
      assert.equal(problemWithFilter(filter), undefined)
    })
  }

  it('refuses types, severities and times that match nothing', () => {
    assert.match(problemWithFilter({ types: ['node.ofline'] })!, /no event type "node.ofline"/)
    assert.match(problemWithFilter({ types: ['*'] })!, /no event type/)
    assert.match(problemWithFilter({ severities: ['bad'] })!, /no severity/)
    assert.match(problemWithFilter({ sinceMs: 5, untilMs: 5 })!, /end/)
  })

  it('knows a severity for every type', () => {
    for (const type of eventTypes) {
      assert.match(type, /^[a-z]+\.[a-z_]+$/)
      assert.ok(eventSeverities.includes(severityOf(type)))
    }
  })
})
