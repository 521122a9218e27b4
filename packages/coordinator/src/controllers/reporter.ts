/** What controllers tell the outside of what they did: events for people, figures for dashboards. */
import type { NodeRecord, ReplicaRecord, WorkloadRecord } from '@cloudless/api'

export interface Reporter {
  nodePhaseChanged(node: NodeRecord, before: string, after: string, message: string): void
  nodeLost(node: NodeRecord, replicaCount: number): void
  nodeDrained(node: NodeRecord): void
  drainStuck(node: NodeRecord, replicaCount: number): void
  replicaCreated(replica: ReplicaRecord): void
  replicaStopping(replica: ReplicaRecord, reason: string): void
  replicaChanged(before: ReplicaRecord, after: ReplicaRecord | undefined): void
  replicaReclaimed(replica: ReplicaRecord): void
  replicaPlaced(replica: ReplicaRecord, node: NodeRecord, score: number): void
  /** Nothing could take it; said once for each new reason. */
  replicaUnplaceable(replica: ReplicaRecord, message: string): void
  workloadDeleted(workload: WorkloadRecord): void
  /** A batch of decisions was made: seconds spent filtering and scoring, and committing. */
  scheduled(batch: {
    readonly placed: number
    readonly unplaceable: number
    readonly decideSeconds: number
    readonly bindSeconds: number
  }): void
  error(what: string, reason: unknown): void
}
