/**
 * After a restore: what nodes come back with that the backup did not know, because it was made later. Such replicas are
 * stopped like all that nobody knows; here it is said.
 */
import type { Hello } from '@cloudless/api'
import type { Clock } from '@cloudless/base'
import { clusterRecordId } from '../state/cluster-record.ts'
import type { ClusterState } from '../state/cluster-state.ts'
import type { Reporter } from './reporter.ts'

export interface RestoredBehindDeps {
  readonly state: Pick<ClusterState, 'get'>
  readonly clock: Clock
  readonly report: Pick<Reporter, 'restoredBehind'>
}

export interface RestoredView {
  /** Unix milliseconds. */
  readonly restoredAtMs: number
  readonly backupAtMs: number
  readonly unknownReplicas: number
}

/** Nodes that come back later than this have been given up long ago. */
const shownMs = 7 * 86_400_000
/** Of these no more is said than that there are many. */
const replicasMax = 10_000

export class RestoredBehind {
  readonly #deps: RestoredBehindDeps
  readonly #said = new Set<string>()

  constructor(deps: RestoredBehindDeps) {
    this.#deps = deps
  }

  /** Undefined unless the cluster was restored, and not long ago. */
  status(): RestoredView | undefined {
    const { state, clock } = this.#deps
    const record = state.get('cluster', clusterRecordId)
    const restoredAtMs = Number(record?.restoredAtMs ?? 0n)
    if (restoredAtMs === 0 || clock.wallMs() - restoredAtMs > shownMs) return undefined
    const backupAtMs = Number(record!.restoredFromMs)
    return { restoredAtMs, backupAtMs, unknownReplicas: this.#said.size }
  }

  /** Before anything is decided of what the node has. */
  greet(nodeId: string, hello: Hello): void {
    const restored = this.status()
    const { state, report } = this.#deps
    const node = state.get('node', nodeId)
    if (restored === undefined || node === undefined) return
    for (const { replicaId, startedAtMs, removed } of hello.replicas) {
      // What ran before the backup was made, and is not in it, had been given up then.
      const isOlder = startedAtMs > 0n && Number(startedAtMs) < restored.backupAtMs
      if (removed || isOlder || state.get('replica', replicaId) !== undefined) continue
      if (this.#said.has(replicaId) || this.#said.size >= replicasMax) continue
      this.#said.add(replicaId)
      report.restoredBehind(node, replicaId, restored.backupAtMs)
    }
  }
}
