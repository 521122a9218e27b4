import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { systemClock } from '@cloudless/base'
import { createProfiler } from './profiler.ts'

describe('the profiler', () => {
  it('takes profiles of the CPU and of the heap', async () => {
    const profiler = createProfiler({ clock: systemClock })
    const cpu = JSON.parse(await profiler.take('cpu', { durationMs: 20 })) as { nodes: unknown[] }
    assert.ok(cpu.nodes.length > 0)
    const heap = JSON.parse(await profiler.take('heap', { durationMs: 20 })) as { head: object }
    assert.ok(heap.head)
  })

  it('takes one at a time, and another after one that was given up', async () => {
    const profiler = createProfiler({ clock: systemClock })
    const abort = new AbortController()
    const first = profiler.take('cpu', { durationMs: 60_000, signal: abort.signal })
    await assert.rejects(profiler.take('heap', { durationMs: 1 }), { code: 'failed_precondition' })
    abort.abort()
    await assert.rejects(first)
    assert.ok(await profiler.take('heap', { durationMs: 1 }))
  })
})
