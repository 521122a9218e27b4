/**
 * Fragments: the pieces of nodes' capacity that are held for replicas. They follow from the replicas and are stored nowhere;
 * only the newest that were given back are remembered, in memory.
 *
 *     RESERVED ──its container runs──▶ ALLOCATED ──it is to stop, or its node is lost──▶ RELEASING ──gone──▶ RELEASED
 */
import { create } from '@bufbuild/protobuf'
import {
  FragmentSchema,
  FragmentStatus,
  ReplicaState,
  type Fragment,
  type ReplicaRecord,
} from '@cloudless/api'
import type { Clock } from '@cloudless/base'
import { isOver } from '../controllers/job-attempts.ts'
import type { ClusterState, RecordChange } from '../state/cluster-state.ts'

export interface HoldingNode {
  readonly name: string
  readonly isLost: boolean
}

/** What a replica holds; undefined when no node holds anything for it. `node` is undefined when that has left. */
export function fragmentOf(
  record: ReplicaRecord,
  node: HoldingNode | undefined,
): Fragment | undefined {
  const { status } = record
  const { id, resources } = status!
  const holder = holderOf(record)
  if (holder === '') return undefined
  return create(FragmentSchema, {
    id: status!.fragmentId || `frag-${id}`,
    nodeId: holder,
    nodeName: node?.name ?? status!.nodeName,
    workloadId: status!.workloadId,
    workloadName: status!.workloadName,
    namespace: status!.namespace,
    replicaId: id,
    status: fragmentStatusOf(record, node),
    createdAtMs: status!.scheduledAtMs || status!.createdAtMs,
    ...(resources && { resources }),
  })
}

/** The node that holds something for it; empty: none. */
export function holderOf(record: ReplicaRecord): string {
  if (isOver(record)) return ''
  const { status, stopping } = record
  const { nodeId, nominatedNodeId } = status!
  return nodeId !== '' || stopping ? nodeId : nominatedNodeId
}

/** Of a replica that holds something. As agents say it of theirs: what has ended but stays assigned keeps its room. */
export function fragmentStatusOf(
  { status, stopping }: ReplicaRecord,
  node: HoldingNode | undefined,
): FragmentStatus {
  if (stopping || node?.isLost === true) return FragmentStatus.RELEASING
  switch (status!.state) {
    case ReplicaState.RUNNING:
      return FragmentStatus.ALLOCATED
    case ReplicaState.STOPPING:
    case ReplicaState.LOST:
      return FragmentStatus.RELEASING
    default:
      return FragmentStatus.RESERVED
  }
}

const releasedMax = 256

/** The newest fragments that were given back, since this coordinator started. */
export class ReleasedFragments {
  readonly #clock: Clock
  readonly #released: Fragment[] = []
  readonly #stopListening: () => void

  constructor(deps: { readonly state: ClusterState; readonly clock: Clock }) {
    this.#clock = deps.clock
    this.#stopListening = deps.state.listen((changes) => this.#onChanges(changes))
  }

  /** Oldest first. */
  all(): readonly Fragment[] {
    return this.#released
  }

  close(): void {
    this.#stopListening()
  }

  #onChanges(changes: readonly RecordChange[]): void {
    for (const change of changes) {
      if (change.kind !== 'replica') continue
      const { before, after } = change as RecordChange<'replica'>
      // Asked of every change of every replica: nothing is made of most.
      if (before === undefined || holderOf(before) === '') continue
      if (after !== undefined && holderOf(after) === holderOf(before)) continue
      const held = fragmentOf(before, undefined)!
      const releasedAtMs = BigInt(Math.round(this.#clock.wallMs()))
      this.#released.push({ ...held, status: FragmentStatus.RELEASED, releasedAtMs })
    }
    const surplus = this.#released.length - releasedMax
    if (surplus > 0) this.#released.splice(0, surplus)
  }
}
