/**
 * Why replicas wait, as they are told: worked out once for all that wait for the same reasons, of which there may be
 * thousands in one batch. Good for one decision.
 */
import { create } from '@bufbuild/protobuf'
import { PendingReasonSchema, type PendingReason, type ReplicaRecord } from '@cloudless/api'
import { describeRejections, type Unplaceable } from '@cloudless/scheduler'
import type { ClusterState } from '../state/cluster-state.ts'
import { pendingAdvice, readyReplicasOf, type Siblings } from './pending-advice.ts'

export interface Words {
  readonly pendingReasons: PendingReason[]
  readonly message: string
}

export class WaitingWords {
  readonly #state: ClusterState
  readonly #siblingsByWorkload = new Map<string, Siblings>()
  /** Of the newest refusal: the next is often the same. */
  #rejections: Unplaceable['rejections'] | undefined
  #words: Words = { pendingReasons: [], message: '' }

  constructor(state: ClusterState) {
    this.#state = state
  }

  of(replica: ReplicaRecord, { nodeCount, rejections }: Unplaceable): Words {
    if (this.#rejections !== rejections) {
      this.#rejections = rejections
      this.#words = {
        pendingReasons: rejections.map((rejection) => create(PendingReasonSchema, rejection)),
        message: describeRejections(nodeCount, rejections),
      }
    }
    const { pendingReasons, message } = this.#words
    return { pendingReasons, message: message + this.#advice(replica) }
  }

  /** "; what to do next", where the reasons alone would leave people guessing. */
  #advice(replica: ReplicaRecord): string {
    const { workloadId } = replica.status!
    const workload = this.#state.get('workload', workloadId)
    if (!workload) return ''
    const advice = pendingAdvice(replica, workload, this.#siblingsOf(workloadId))
    return advice === undefined ? '' : `; ${advice}`
  }

  #siblingsOf(workloadId: string): Siblings {
    const known = this.#siblingsByWorkload.get(workloadId)
    if (known !== undefined) return known
    const state = this.#state
    let ready: ReturnType<Siblings['ready']> | undefined
    const siblings: Siblings = {
      find: (id) => state.get('replica', id),
      ready: () =>
        (ready ??= readyReplicasOf(
          state.replicasOfWorkload(workloadId).map((held) => held.record),
        )),
    }
    this.#siblingsByWorkload.set(workloadId, siblings)
    return siblings
  }
}
