/**
 * Runs every promise job that can run, to the end, before virtual time goes on.
 *
 * A turn of Node's event loop would do, and costs 4 us: more than most events themselves. Node's own way of running the
 * jobs between two callbacks can be called in between, and costs 0.2 us; a test holds that the two give the same trace.
 * Real timers, sockets and threads are never waited for: nothing in a simulated world may use one.
 */

/** Not in Node's documentation, and in Node since its beginnings. */
const { _tickCallback: runPromiseJobs } = process as unknown as {
  readonly _tickCallback?: () => void
}

/** Events between two turns of the real event loop, in which signals and the messages of other threads are seen. */
const eventsPerTurn = 5_000

export type Settling = 'quick' | 'turns'

/** Calls `step` until it returns false; all promise jobs are run after each call. */
export function drive(step: () => boolean, settling: Settling = 'quick'): Promise<void> {
  const settle = settling === 'quick' ? runPromiseJobs : undefined
  return new Promise((resolve, reject) => {
    const turn = (): void => {
      try {
        for (let n = 0; n < (settle ? eventsPerTurn : 1); n++) {
          if (!step()) return resolve()
          settle?.call(process)
        }
        setImmediate(turn)
      } catch (reason) {
        reject(reason)
      }
    }
    // From a turn of its own: promise jobs cannot be run from within one.
    setImmediate(turn)
  })
}
