/** What controllers tell the outside of what they did: events for people, figures for dashboards. */
import type { NodePhase, NodeRecord, ReplicaRecord, WorkloadRecord } from '@cloudless/api'
import type { RolloutWord } from './step-rollout.ts'
import type { WorkloadWord } from './workload-progress.ts'

export interface Reporter {
  nodePhaseChanged(node: NodeRecord, change: NodePhaseChange): void
  nodeLost(node: NodeRecord, replicaCount: number): void
  /** It had been given up as lost, and has said what it still has. */
  nodeReturned(node: NodeRecord, found: NodeReturn): void
  /** So many nodes are going at once, while so many are there, that their replicas are held back for a while. */
  massLossBegun(vanished: number, present: number): void
  massLossOver(vanished: number, afterMs: number): void
  nodeDrained(node: NodeRecord): void
  /** `waiting`: why some of those that are left are still there. */
  drainStuck(node: NodeRecord, replicaCount: number, waiting: readonly string[]): void
  replicaCreated(replica: ReplicaRecord): void
  replicaStopping(replica: ReplicaRecord, reason: string): void
  replicaChanged(before: ReplicaRecord, after: ReplicaRecord | undefined): void
  /** It was given up as lost, and its node has come back with it: it is kept. */
  replicaReclaimed(replica: ReplicaRecord): void
  /** The same, but it is not wanted any more: it is stopped. */
  replicaFenced(replica: ReplicaRecord): void
  /** `predecessor`: the replica it stands in for. */
  replicaPlaced(
    replica: ReplicaRecord,
    node: NodeRecord,
    score: number,
    predecessor: ReplicaRecord | undefined,
  ): void
  /** Nothing could take it; said once for each new reason. */
  replicaUnplaceable(replica: ReplicaRecord, message: string, isReplacement: boolean): void
  /** Replicas of lower priority are being stopped, or were already leaving, so that it gets their room on the node. */
  roomMade(replica: ReplicaRecord, node: NodeRecord, victims: readonly ReplicaRecord[]): void
  workloadProgressed(workload: WorkloadRecord, word: WorkloadWord): void
  /** `workload` is as it was then. */
  rolloutProgressed(workload: WorkloadRecord, word: RolloutWord): void
  /** Every replica of a new workload is ready for the first time. */
  workloadReady(workload: WorkloadRecord, sinceCreationMs: number): void
  /** Its number of replicas follows what they use; `why` names the figure that decided. */
  workloadAutoscaled(
    workload: WorkloadRecord,
    change: { readonly from: number; readonly to: number; readonly why: string },
  ): void
  /** The replica is to be moved to a node that has more to give; where it went is known once it is placed. */
  workloadRebalanced(
    workload: WorkloadRecord,
    replica: ReplicaRecord,
    target: NodeRecord | undefined,
  ): void
  workloadDeleted(workload: WorkloadRecord): void
  /** The cluster was restored from a backup that had not known this replica of the node's; it is stopped. */
  restoredBehind(node: NodeRecord, replicaId: string, backupAtMs: number): void
  /** Its record says how. */
  jobEnded(job: WorkloadRecord): void
  /** A run of the cron began: the job it made. */
  cronStarted(cron: WorkloadRecord, job: WorkloadRecord): void
  /** A run that was due did not take place. */
  cronSkipped(cron: WorkloadRecord, why: string): void
  /** A batch of decisions was made: seconds spent finding nodes that will do, choosing among them, and committing. */
  scheduled(batch: {
    readonly placed: number
    readonly unplaceable: number
    readonly filterSeconds: number
    readonly scoreSeconds: number
    readonly bindSeconds: number
  }): void
  /** The batch could not be decided or committed; it is tried again. */
  schedulingFailed(reason: unknown): void
  error(what: string, reason: unknown): void
}

export interface NodeReturn {
  readonly awayMs: number
  /** Replicas that it still ran: how many were taken back, and how many are stopped. */
  readonly kept: number
  readonly fenced: number
}

export interface NodePhaseChange {
  readonly before: NodePhase
  readonly after: NodePhase
  /** For people. */
  readonly message: string
  /** Of the phase before, unix milliseconds. */
  readonly lastTransitionMs: number
  /** Since anything was heard of the node; undefined when nothing was since the coordinator started. */
  readonly silentMs: number | undefined
}
