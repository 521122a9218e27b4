/** The record of the cluster itself: its id and its trust domain, which stay for its whole life. */
import { create } from '@bufbuild/protobuf'
import { ClusterRecordSchema, type ClusterRecord } from '@cloudless/api'
import { CloudlessError, randomId, type Clock, type Random } from '@cloudless/base'
import type { MetadataStore } from '@cloudless/metadata'
import { absent, putRecord, type ClusterState } from './cluster-state.ts'

export interface ClusterRecordDeps {
  readonly state: ClusterState
  /** Not of a term: the record is made once, whoever leads. */
  readonly store: Pick<MetadataStore, 'transact'>
  readonly clock: Clock
  readonly random: Random
}

export const clusterRecordId = 'cluster'

/** Made at the first start. `failed_precondition` when the cluster has another trust domain. */
export async function ensureClusterRecord(
  { state, store, clock, random }: ClusterRecordDeps,
  trustDomain: string,
): Promise<ClusterRecord> {
  const existing = state.get('cluster', clusterRecordId)
  if (existing) {
    if (existing.trustDomain === trustDomain) return existing
    throw new CloudlessError(
      'failed_precondition',
      `this cluster's trust domain is "${existing.trustDomain}", but tls.trust_domain says ` +
        `"${trustDomain}": it cannot be changed; set it back`,
    )
  }
  const record = create(ClusterRecordSchema, {
    clusterId: `cluster-${randomId(random, 12)}`,
    trustDomain,
    createdAtMs: BigInt(clock.wallMs()),
  })
  const { revision } = await store.transact({
    preconditions: [absent('cluster', clusterRecordId)],
    writes: [putRecord('cluster', clusterRecordId, record)],
  })
  await state.caughtUp(revision)
  return state.get('cluster', clusterRecordId)!
}
