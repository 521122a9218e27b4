import type { AffinityTerms } from '../affinity.ts'
import type { NodeView, PendingReplica } from '../model.ts'

/** One reason why a node will not do. Never ranks, never changes anything. */
export interface Filter {
  readonly name: string

  /** Undefined when the node will do; otherwise why not, in words fit for a user: "not enough memory". */
  reject(replica: PendingReplica, node: NodeView, terms: AffinityTerms): string | undefined
}
