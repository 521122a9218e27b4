import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { changesOfAlarms, parseAlarms, type Alarm } from './alarms.ts'

describe('the alarms of etcd', () => {
  it('are read from the errors of a status, which has others too', () => {
    const errors = ['etcdserver: no leader', 'memberID:10276657743932975437 alarm:NOSPACE ']
    assert.deepEqual(parseAlarms(errors), [{ kind: 'NOSPACE', memberId: '8e9e05c52164694d' }])
  })

  const full: Alarm = { kind: 'NOSPACE', memberId: 'a' }
  const corrupt: Alarm = { kind: 'CORRUPT', memberId: 'b' }
  for (const [what, before, now, expected] of [
    ['nothing', [], [], []],
    ['one that stays', [full], [full], []],
    ['one more', [full], [full, corrupt], [{ ...corrupt, change: 'raised' }]],
    ['one less', [full, corrupt], [corrupt], [{ ...full, change: 'cleared' }]],
    ['the same of another', [full], [{ ...full, memberId: 'b' }], ['raised', 'cleared']],
  ] as const) {
    it(`are told when they change: ${what}`, () => {
      const changes = changesOfAlarms(before, now)
      const told = typeof expected[0] === 'string' ? changes.map(({ change }) => change) : changes
      assert.deepEqual(told, expected)
    })
  }
})
