/** What everything else of the coordinator stands on: its data directory, the CA, the store, the state read from it. */
import { create } from '@bufbuild/protobuf'
import { CoordinatorRecordSchema, type ClusterRecord } from '@cloudless/api'
import { makePrivateDirectory, version, type Clock, type Random } from '@cloudless/base'
import {
  openCertificateAuthority,
  readCaFiles,
  type CaFiles,
  type CertificateAuthority,
} from '@cloudless/identity'
import type { InitialCluster, MetadataStore } from '@cloudless/metadata'
import type { Logger } from '@cloudless/observability'
import { requireNoUnfinishedRestore } from '../backup/unfinished-restore.ts'
import { fencedStore, type FencedStore } from '../leadership/fenced-store.ts'
import { ensureClusterRecord } from '../state/cluster-record.ts'
import { ClusterState, putRecord } from '../state/cluster-state.ts'
import { advertisedAddresses } from './addresses.ts'
import { caDirectoryOf } from './data-directory.ts'
import { engineOf, openEtcd, openSqlite, type Engine, type Raft } from './engine.ts'
import { joinCluster } from './join-cluster.ts'
import type { Observed } from './observed.ts'
import type { CoordinatorSettings } from './settings.ts'

export interface FoundationDeps {
  readonly clock: Clock
  readonly random: Random
  readonly logger: Logger
  /** Logs, figures and events of this process; made from the store, which is opened here. */
  readonly observe: (store: MetadataStore) => Promise<Observed>
}

export interface Foundation {
  readonly clock: Clock
  readonly random: Random
  readonly authority: CertificateAuthority
  readonly caFiles: () => CaFiles
  /** What the leader writes to: with several coordinators, only in its term. */
  readonly store: MetadataStore
  /** For what every coordinator may write. */
  readonly unfencedStore: MetadataStore
  /** With several coordinators: lets the term of this one begin and end. */
  readonly fence?: FencedStore
  readonly raft?: Raft
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
  requireNoUnfinishedRestore(settings.data_dir)
  const { engine, authority } = await openEngine(deps, settings)
  opened.defer(() => engine.close())
  const observed = await deps.observe(engine.store)
  opened.defer(() => observed.close())
  const unfencedStore = observed.store
  const fence = engine.raft && fencedStore({ clock, store: unfencedStore })
  const store = fence ?? unfencedStore

  const following = new AbortController()
  opened.defer(() => following.abort())
  const failure = Promise.withResolvers<never>()
  failure.promise.catch(() => undefined) // Whoever runs the coordinator looks at it.
  const state = await ClusterState.open(
    { store, clock },
    { signal: following.signal, onFailure: failure.reject },
  )
  const cluster = await ensureClusterRecord(
    { state, store: unfencedStore, clock, random },
    trustDomain,
  )
  if (engine.raft) await signIn({ clock, store: unfencedStore }, settings, engine.raft)
  return {
    ...{ clock, random, authority, store, unfencedStore, observed, state, cluster },
    caFiles: () => readCaFiles(caDirectoryOf(settings.data_dir))!,
    ...(fence && { fence }),
    ...(engine.raft && { raft: engine.raft }),
    failed: failure.promise,
  }
}

async function openEngine(
  deps: FoundationDeps,
  settings: CoordinatorSettings,
): Promise<{ readonly engine: Engine; readonly authority: CertificateAuthority }> {
  const directory = caDirectoryOf(settings.data_dir)
  const isEtcd = engineOf(settings) === 'etcd'
  const initial: InitialCluster = isEtcd ? await joinCluster(deps, settings) : { kind: 'new' }
  const authority = await openCertificateAuthority(deps, {
    directory,
    trustDomain: settings['tls.trust_domain'],
  })
  const whole = { ...deps, authority }
  const engine = isEtcd
    ? await openEtcd(whole, settings, initial)
    : await openSqlite(whole, settings)
  return { engine, authority }
}

/** Lets the others know that it is there, and where. */
async function signIn(
  { clock, store }: { readonly clock: Clock; readonly store: MetadataStore },
  settings: CoordinatorSettings,
  raft: Raft,
): Promise<void> {
  const id = settings['raft.id']
  const record = create(CoordinatorRecordSchema, {
    id,
    addresses: advertisedAddresses(settings),
    raftAddress: raft.address,
    version,
    startedAtMs: BigInt(clock.wallMs()),
  })
  await store.transact({ writes: [putRecord('coordinator', id, record)] })
}
