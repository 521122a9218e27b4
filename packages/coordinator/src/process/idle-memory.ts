/**
 * Gives memory back that a burst of work left behind, once there is little to do.
 *
 * The young generation grows with the work (starting is work too) and V8 does not let go of it by itself while nothing
 * happens: on a small machine that is a fifth of what the coordinator takes.
 */
import { performance, type EventLoopUtilization } from 'node:perf_hooks'
import { getHeapSpaceStatistics } from 'node:v8'
import { every, type Clock } from '@cloudless/base'

export interface Memory {
  /** The share of the time since the last call in which there was something to do, 0 to 1. */
  readonly busyShare: () => number
  /** Bytes held by the young generation. */
  readonly youngBytes: () => number
  /** Bytes in use in the heap, which is how long a collection takes: about two milliseconds a megabyte. */
  readonly usedBytes: () => number
  readonly collect: () => void
}

const lookEveryMs = 10_000
const calmShare = 0.1
const youngBytesMax = 8 * 2 ** 20
/** With a larger heap a collection would hold up the sessions for too long. */
const usedBytesMax = 128 * 2 ** 20

/** Until the returned function is called. Does nothing when the process was started without `--expose-gc`. */
export function giveMemoryBack(
  clock: Clock,
  memory: Memory | undefined = ofThisProcess(),
): () => void {
  if (memory === undefined) return () => undefined
  return every(clock, lookEveryMs, () => {
    if (memory.busyShare() >= calmShare || memory.youngBytes() <= youngBytesMax) return
    if (memory.usedBytes() < usedBytesMax) memory.collect()
  })
}

function ofThisProcess(): Memory | undefined {
  const collect = globalThis.gc
  if (collect === undefined) return undefined
  let before: EventLoopUtilization = performance.eventLoopUtilization()
  return {
    busyShare() {
      const now = performance.eventLoopUtilization()
      const { utilization } = performance.eventLoopUtilization(now, before)
      before = now
      return utilization
    },
    youngBytes: () =>
      getHeapSpaceStatistics().find((space) => space.space_name === 'new_space')?.space_size ?? 0,
    usedBytes: () => process.memoryUsage().heapUsed,
    collect: () => collect({ type: 'major', flavor: 'last-resort' }),
  }
}
