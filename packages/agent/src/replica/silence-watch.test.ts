import assert from 'node:assert/strict'
import { test } from 'node:test'
import { create } from '@bufbuild/protobuf'
import { AssignmentSchema } from '@cloudless/api'
import type { Clock } from '@cloudless/base'
import * as fc from 'fast-check'
import { QuietLogger } from '../testing/quiet.ts'
import { newReplica, type ReplicaMachine } from './replica-state.ts'
import { SilenceWatch, dueToStop } from './silence-watch.ts'

function replica(replicaId: string, stopAfterMs: number, rest: Partial<ReplicaMachine> = {}) {
  const spec = { image: 'a', onDisconnect: { stopAfterMs: BigInt(stopAfterMs) } }
  return { ...newReplica(create(AssignmentSchema, { replicaId, spec })), ...rest }
}

/** Moves only when told to. */
class StillClock implements Clock {
  #nowMs = 0
  readonly #timers = new Set<{ atMs: number; fire: () => void }>()

  monotonicMs(): number {
    return this.#nowMs
  }

  wallMs(): number {
    return this.#nowMs
  }

  after(delayMs: number, fire: () => void): () => void {
    const timer = { atMs: this.#nowMs + delayMs, fire }
    this.#timers.add(timer)
    return () => this.#timers.delete(timer)
  }

  pass(ms: number): void {
    const untilMs = this.#nowMs + ms
    for (;;) {
      const due = [...this.#timers].filter((timer) => timer.atMs <= untilMs)
      const next = due.sort((a, b) => a.atMs - b.atMs)[0]
      if (next === undefined) break
      this.#timers.delete(next)
      this.#nowMs = next.atMs
      next.fire()
    }
    this.#nowMs = untilMs
  }
}

test('only what asks for it, still runs and is not stopped yet is stopped', () => {
  const due = dueToStop(
    [
      replica('due', 5_000),
      replica('later', 5_001),
      replica('never', 0),
      replica('stopped', 1_000, { suspended: true }),
      replica('ended', 1_000, { stage: 'succeeded' }),
    ],
    5_000,
  )
  assert.deepEqual(due, [{ replicaId: 'due', afterMs: 5_000 }])
})

test('a replica is stopped within a second of its time, and never while the coordinator is heard', () => {
  const gap = fc.integer({ min: 1, max: 20_000 })
  fc.assert(
    fc.property(fc.integer({ min: 1_000, max: 15_000 }), fc.array(gap), (stopAfterMs, gaps) => {
      const clock = new StillClock()
      let heardAtMs = 0
      let stoppedAtMs: number | undefined
      const watch = new SilenceWatch({
        clock,
        logger: new QuietLogger(),
        replicas: () => (stoppedAtMs === undefined ? [replica('web-1', stopAfterMs)] : []),
        suspend: () => (stoppedAtMs = clock.monotonicMs()),
      })
      for (const gapMs of gaps) {
        clock.pass(gapMs)
        const dueAtMs = heardAtMs + stopAfterMs
        if (stoppedAtMs !== undefined) {
          assert.ok(stoppedAtMs >= dueAtMs && stoppedAtMs < dueAtMs + 1_000)
          break
        }
        assert.ok(clock.monotonicMs() < dueAtMs + 1_000)
        watch.heard()
        heardAtMs = clock.monotonicMs()
      }
      watch.close()
    }),
  )
})
