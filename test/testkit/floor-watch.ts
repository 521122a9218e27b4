/**
 * Whether a service is kept at its min_available, looked at with every change of it.
 *
 * A replica that stops serving does so for one of four reasons, told apart by its record and by what the test has broken:
 *   - lost: its node is one that the test has broken, from then until the node is whole again;
 *   - given up: its node is in order, and was nevertheless given up as lost;
 *   - unready: it still runs, and its readiness probe fails;
 *   - moved: anything else, which is the control plane's own doing: a drain, a rollout, a surplus one stopped.
 *
 * The rule: after one was moved, at least min_available serve. What falls below it by losses alone is a dip, which
 * lasts until as many serve again; how long is measured, and cannot be none when more die than the service has to spare.
 */
import { ReplicaState, type ReplicaStatus } from '@cloudless/api'
import { systemClock } from '@cloudless/base'
import type { ApiClient } from './api-client.ts'
import { watchServing, type ServingWatch } from './serving-watch.ts'

export type DropCause = 'lost' | 'given up' | 'unready' | 'moved'

/** Fewer served than may, from then on. */
export interface Dip {
  readonly startedAtMs: number
  readonly fewest: number
  readonly tookMs: number
  /** Of the drop that began it. */
  readonly cause: DropCause
}

export interface FloorWatch {
  readonly name: string
  readonly watch: ServingWatch
  /** What broke the rule, one line each. */
  readonly violations: readonly string[]
  /** Those that are over, and the one that goes on, until now. */
  dips(): readonly Dip[]
  /** How often each was the cause. */
  readonly drops: Readonly<Record<DropCause, number>>
  close(): void
}

export interface FloorOptions {
  readonly name: string
  readonly minAvailable: number
  /** Whether the test has broken that node. */
  readonly isBroken: (nodeName: string) => boolean
}

/** Begin when the service is whole. */
export function watchFloor(client: ApiClient, options: FloorOptions): FloorWatch {
  const { name, minAvailable, isBroken } = options
  const violations: string[] = []
  const drops: Record<DropCause, number> = { lost: 0, 'given up': 0, unready: 0, moved: 0 }
  const over: Dip[] = []
  let open: Dip | undefined
  let before: readonly ReplicaStatus[] = []
  const watch = watchServing(client, name, () => look())

  function look(): void {
    const { serving, workload } = watch
    const all = workload?.status?.replicas ?? []
    const causes = dropsBetween(before, serving).map((replica) => ({
      replica,
      cause: causeOf(replica, all, isBroken),
    }))
    for (const { cause } of causes) drops[cause]++
    const moved = causes.filter(({ cause }) => cause === 'moved')
    const others = causes.length - moved.length
    if (moved.length > 0 && serving.length + others < minAvailable) {
      const ids = moved.map(({ replica }) => `${replica.id} on ${replica.nodeName}`).join(', ')
      violations.push(`${name}: ${ids} moved, which left ${serving.length} of ${minAvailable}`)
    }
    noteDip(serving.length, causes[0]?.cause ?? 'moved')
    before = serving
  }

  function noteDip(serving: number, cause: DropCause): void {
    const nowMs = systemClock.monotonicMs()
    if (serving < minAvailable) {
      const began = open ?? { startedAtMs: nowMs, fewest: serving, cause }
      const fewest = Math.min(began.fewest, serving)
      open = { ...began, fewest, tookMs: nowMs - began.startedAtMs }
    } else if (open !== undefined) {
      over.push({ ...open, tookMs: nowMs - open.startedAtMs })
      open = undefined
    }
  }

  return {
    name,
    watch,
    violations,
    drops,
    dips() {
      const nowMs = systemClock.monotonicMs()
      return open === undefined ? over : [...over, { ...open, tookMs: nowMs - open.startedAtMs }]
    },
    close: () => watch.close(),
  }
}

function dropsBetween(
  before: readonly ReplicaStatus[],
  after: readonly ReplicaStatus[],
): readonly ReplicaStatus[] {
  const ids = new Set(after.map((replica) => replica.id))
  return before.filter((replica) => !ids.has(replica.id))
}

function causeOf(
  { id, nodeName }: ReplicaStatus,
  all: readonly ReplicaStatus[],
  isBroken: (nodeName: string) => boolean,
): DropCause {
  if (isBroken(nodeName)) return 'lost'
  const now = all.find((replica) => replica.id === id)
  if (now?.state === ReplicaState.LOST) return 'given up'
  if (now?.state === ReplicaState.RUNNING && !now.ready) return 'unready'
  return 'moved'
}
