/** Where clients of a workload are sent, as one that watches it through the API learns it. */
import { ReplicaState, WorkloadPhase, type ReplicaStatus, type Workload } from '@cloudless/api'
import { CloudlessError, sleep, systemClock } from '@cloudless/base'
import type { ApiClient } from './api-client.ts'

/** The number of replicas that clients were sent to, from that moment on. */
export interface ServingSample {
  /** As of `systemClock.monotonicMs`. */
  readonly atMs: number
  readonly serving: number
}

export interface ServingWatch {
  /** The replicas that clients may be sent to now. */
  readonly serving: readonly ReplicaStatus[]
  /** The workload as last seen. */
  readonly workload: Workload | undefined
  /** Every change of the number since the watch began, the oldest first. */
  readonly samples: readonly ServingSample[]
  /** The fewest since that moment, what there was then included. */
  fewestSince(atMs: number): number
  /** Resolves when it first looks as wanted, rejects after `deadlineMs`. */
  when(
    what: string,
    deadlineMs: number,
    isAsWanted: (workload: Workload, serving: readonly ReplicaStatus[]) => boolean,
  ): Promise<void>
  close(): void
}

/** A watch that ended is begun anew after so long; meanwhile clients go on with what they know. */
const againMs = 100

/** Whether clients may be sent to it. */
export function isServing(replica: ReplicaStatus): boolean {
  return replica.serving && replica.address !== ''
}

/** `onChange` is called whenever the workload or a replica of it changed. */
export function watchServing(
  client: ApiClient,
  workloadName: string,
  onChange: () => void = () => undefined,
): ServingWatch {
  const closing = new AbortController()
  const samples: ServingSample[] = [{ atMs: systemClock.monotonicMs(), serving: 0 }]
  const listeners = new Set<() => void>([onChange])
  let workload: Workload | undefined
  let serving: readonly ReplicaStatus[] = []

  function see(seen: Workload): void {
    workload = seen
    serving = (seen.status?.replicas ?? []).filter(isServing)
    if (serving.length !== samples.at(-1)!.serving) {
      samples.push({ atMs: systemClock.monotonicMs(), serving: serving.length })
    }
    for (const listener of listeners) listener()
  }

  async function follow(): Promise<void> {
    const { signal } = closing
    while (!signal.aborted) {
      try {
        for await (const message of client.watchWorkloads(
          { workloadId: workloadName },
          { signal },
        )) {
          if (message.workload) see(message.workload)
        }
      } catch {
        // The coordinator is away, or we close: either way the loop knows what to do.
      }
      await sleep(systemClock, againMs)
    }
  }
  void follow()

  return {
    get serving() {
      return serving
    },
    get workload() {
      return workload
    },
    samples,
    fewestSince: (atMs) => fewestSince(samples, atMs),
    when: (what, deadlineMs, isAsWanted) =>
      new Promise((resolve, reject) => {
        const look = (): void => {
          if (workload === undefined || !isAsWanted(workload, serving)) return
          end()
          resolve()
        }
        const cancel = systemClock.after(deadlineMs, () => {
          end()
          const seen = workload === undefined ? 'nothing of it' : describe(workload)
          reject(
            new CloudlessError(
              'deadline_exceeded',
              `gave up waiting for ${workloadName}: ${what} after ${deadlineMs} ms: saw ${seen}`,
            ),
          )
        })
        const end = (): void => {
          cancel()
          listeners.delete(look)
        }
        listeners.add(look)
        look()
      }),
    close: () => closing.abort(),
  }
}

function fewestSince(samples: readonly ServingSample[], atMs: number): number {
  const before = samples.findLast((sample) => sample.atMs <= atMs) ?? samples[0]!
  const after = samples.filter((sample) => sample.atMs > atMs)
  return Math.min(before.serving, ...after.map((sample) => sample.serving))
}

function describe({ status }: Workload): string {
  const replicas = (status?.replicas ?? []).map(
    ({ id, revision, nodeName, state, ready, reason }) =>
      `${id} of revision ${revision} on ${nodeName || 'no node'}: ` +
      `${nameOf(ReplicaState, state)}${ready ? ', ready' : ''} ${reason}`,
  )
  const phase = nameOf(WorkloadPhase, status?.phase)
  return [`${phase} ${status?.message} ${status?.rollout?.message ?? ''}`, ...replicas].join('\n')
}

function nameOf(names: Readonly<Record<string, number>>, value: number | undefined): string {
  return Object.keys(names).find((name) => names[name] === value) ?? String(value)
}
