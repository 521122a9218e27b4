/** CPU and heap profiles of the running process, as the developer tools of Chrome and editors open them. */
import { Session } from 'node:inspector/promises'
import { CloudlessError, sleep, type Clock } from '@cloudless/base'

export type ProfileKind = 'cpu' | 'heap'

export interface Profiler {
  /**
   * Watches the process for so long, then resolves with JSON: a .cpuprofile, or a .heapprofile of what was allocated and
   * is still held. `failed_precondition` while another profile is taken; rejects when the signal is aborted.
   */
  take(kind: ProfileKind, options: { durationMs: number; signal?: AbortSignal }): Promise<string>
}

/** Bytes between two samples of the heap. */
const heapSampleBytes = 32 * 1024

export function createProfiler(deps: { readonly clock: Clock }): Profiler {
  let busy = false
  return {
    async take(kind, { durationMs, signal }) {
      if (busy) {
        const message = 'a profile is being taken already: wait until that one is done'
        throw new CloudlessError('failed_precondition', message)
      }
      busy = true
      const session = new Session()
      try {
        session.connect()
        const wait = (): Promise<void> => sleep(deps.clock, durationMs, signal)
        return JSON.stringify(await (kind === 'cpu' ? cpuProfile : heapProfile)(session, wait))
      } finally {
        session.disconnect() // Ends what is being recorded, too.
        busy = false
      }
    },
  }
}

async function cpuProfile(session: Session, wait: () => Promise<void>): Promise<object> {
  await session.post('Profiler.enable')
  await session.post('Profiler.start')
  await wait()
  return (await session.post('Profiler.stop')).profile
}

async function heapProfile(session: Session, wait: () => Promise<void>): Promise<object> {
  await session.post('HeapProfiler.enable')
  await session.post('HeapProfiler.startSampling', { samplingInterval: heapSampleBytes })
  await wait()
  return (await session.post('HeapProfiler.stopSampling')).profile
}
