/** What everything else of the coordinator stands on: its data directory, the CA, the store, the state read from it. */
import type { ClusterRecord } from '@cloudless/api'
import { makePrivateDirectory, type Clock, type Random } from '@cloudless/base'
import { openCertificateAuthority, type CertificateAuthority } from '@cloudless/identity'
import { createSqliteStore, type MetadataStore } from '@cloudless/metadata'
import { ensureClusterRecord } from '../state/cluster-record.ts'
import { ClusterState } from '../state/cluster-state.ts'
import { caDirectoryOf, metadataPathOf } from './data-directory.ts'
import type { Observed } from './observed.ts'
import type { CoordinatorSettings } from './settings.ts'

export interface FoundationDeps {
  readonly clock: Clock
  readonly random: Random
  /** Logs, figures and events of this process; made from the store, which is opened here. */
  readonly observe: (store: MetadataStore) => Promise<Observed>
}

export interface Foundation {
  readonly clock: Clock
  readonly random: Random
  readonly authority: CertificateAuthority
  readonly store: MetadataStore
  readonly observed: Observed
  readonly state: ClusterState
  readonly cluster: ClusterRecord
  /** Rejects when the state can no longer follow the store. */
  readonly failed: Promise<never>
}

/** Puts what must be closed on `opened`. */
export async function openFoundation(
  deps: FoundationDeps,
  settings: CoordinatorSettings,
  opened: AsyncDisposableStack,
): Promise<Foundation> {
  const { clock, random } = deps
  const trustDomain = settings['tls.trust_domain']
  makePrivateDirectory(settings.data_dir)
  const directory = caDirectoryOf(settings.data_dir)
  const authority = await openCertificateAuthority(deps, { directory, trustDomain })
  const bare = await createSqliteStore(deps, { path: metadataPathOf(settings.data_dir) })
  opened.defer(() => bare.close())
  const observed = await deps.observe(bare)
  opened.defer(() => observed.close())
  const { store } = observed

  const following = new AbortController()
  opened.defer(() => following.abort())
  const failure = Promise.withResolvers<never>()
  failure.promise.catch(() => undefined) // Whoever runs the coordinator looks at it.
  const state = await ClusterState.open(
    { store, clock },
    { signal: following.signal, onFailure: failure.reject },
  )
  const cluster = await ensureClusterRecord({ state, clock, random }, trustDomain)
  return { clock, random, authority, store, observed, state, cluster, failed: failure.promise }
}
