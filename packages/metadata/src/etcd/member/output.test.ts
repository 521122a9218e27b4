import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { Clock } from '@cloudless/base'
import { OutputForwarder, OutputTail, parseOutputLine } from './output.ts'

const zap = (fields: Record<string, unknown>): string =>
  JSON.stringify({ ts: '2026-01-01T00:00:00Z', caller: 'a.go:1', ...fields })

describe('what etcd prints', () => {
  for (const [what, line, level, text] of [
    ['information', zap({ level: 'info', msg: 'ready' }), 'info', 'ready'],
    [
      'a warning',
      zap({ level: 'warn', msg: 'slow', took: '2s', n: 3 }),
      'warn',
      'slow took=2s n=3',
    ],
    ['an end', zap({ level: 'fatal', msg: 'over', error: 'disk' }), 'error', 'over error=disk'],
    ['no JSON', 'panic: oh', 'warn', 'panic: oh'],
    ['broken JSON', '{"level":"in', 'warn', '{"level":"in'],
    [
      'a look at its port',
      zap({ level: 'warn', msg: 'rejected connection', error: 'EOF' }),
      'info',
      'rejected connection error=EOF',
    ],
    [
      'a refusal',
      zap({ level: 'warn', msg: 'rejected connection', error: 'bad certificate' }),
      'warn',
      'rejected connection error=bad certificate',
    ],
  ] as const) {
    it(`is read: ${what}`, () => {
      const parsed = parseOutputLine(line)
      assert.deepEqual([parsed.level, parsed.text], [level, text])
    })
  }

  it('is cut where it has no end', () => {
    assert.equal(parseOutputLine('x'.repeat(10_000)).text.length, 500)
  })

  it('is kept to the last twenty lines, and a removal is not forgotten', () => {
    const tail = new OutputTail()
    const error = 'the member has been permanently removed from the cluster'
    tail.add(parseOutputLine(zap({ level: 'warn', msg: 'server error', error })))
    for (let n = 0; n < 30; n++) tail.add({ level: 'info', kind: 'line', text: `line ${n}` })
    assert.equal(tail.lines.length, 20)
    assert.equal(tail.lines.at(-1), 'line 29')
    assert.equal(tail.wasRemoved, true)
  })

  it('is passed on from a warning up, so many a minute, and the rest is counted', () => {
    let nowMs = 0
    const clock: Clock = { monotonicMs: () => nowMs, wallMs: () => 0, after: () => () => undefined }
    const logged: string[] = []
    const forwarder = new OutputForwarder(clock, (level, message) =>
      logged.push(`${level} ${message}`),
    )
    forwarder.forward({ level: 'info', kind: 'no', text: 'no' })
    for (let n = 0; n < 40; n++) {
      forwarder.forward({ level: 'warn', kind: String(n), text: String(n) })
    }
    assert.equal(logged.length, 30)
    assert.equal(logged.at(-1), 'warn etcd: 29')
    nowMs = 60_000
    forwarder.forward({ level: 'error', kind: 'again', text: 'again' })
    assert.deepEqual(logged.slice(30), ['warn etcd said 10 more such lines', 'error etcd: again'])
  })

  it('is passed on twice a minute when it is of one kind', () => {
    const clock: Clock = { monotonicMs: () => 0, wallMs: () => 0, after: () => () => undefined }
    const logged: string[] = []
    const forwarder = new OutputForwarder(clock, (_level, message) => logged.push(message))
    for (const to of [1, 2, 3]) {
      forwarder.forward(parseOutputLine(zap({ level: 'warn', msg: 'dropped a message', to })))
    }
    assert.deepEqual(logged, ['etcd: dropped a message to=1', 'etcd: dropped a message to=2'])
  })
})
