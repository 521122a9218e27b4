/** The store under everything: SQLite for the only coordinator, a member of etcd of our own for one of several. */
import { existsSync } from 'node:fs'
import { CloudlessError, formatAddress, sleep, type Clock, type Random } from '@cloudless/base'
import { createCsr, createKey, planRenewal, type CertificateAuthority } from '@cloudless/identity'
import {
  createEtcdCluster,
  createEtcdStore,
  createSqliteStore,
  findEtcd,
  startEtcdMember,
  type EtcdCluster,
  type EtcdMember,
  type InitialCluster,
  type MemberCredentials,
  type MemberNames,
  type MetadataStore,
} from '@cloudless/metadata'
import type { Logger } from '@cloudless/observability'
import { advertisedAddresses, requireAddress } from './addresses.ts'
import { metadataPathOf, raftDirectoryOf } from './data-directory.ts'
import type { CoordinatorSettings } from './settings.ts'

export interface EngineDeps {
  readonly clock: Clock
  readonly random: Random
  readonly logger: Logger
  readonly authority: CertificateAuthority
}

export interface Engine {
  readonly store: MetadataStore
  /** Of a coordinator that is one of several. */
  readonly raft?: Raft
  close(): Promise<void>
}

/** This coordinator's part of the RAFT group. */
export interface Raft {
  readonly member: EtcdMember
  readonly cluster: EtcdCluster
  /** "host:port" where the other members reach it. */
  readonly address: string
}

const raftPortDefault = 2380

export type EngineKind = 'sqlite' | 'etcd'

/** What is stored decides; the settings only where nothing is. `failed_precondition` when they contradict each other. */
export function engineOf(settings: CoordinatorSettings): EngineKind {
  const { data_dir: directory } = settings
  if (existsSync(raftDirectoryOf(directory))) return 'etcd'
  if (!isToldOfRaft(settings)) return 'sqlite'
  if (!existsSync(metadataPathOf(directory))) return 'etcd'
  throw new CloudlessError(
    'failed_precondition',
    `${directory} has the metadata of a cluster in SQLite: start without --raft-bootstrap and --join, and move it with ` +
      '`cloudlessctl cluster promote`; or name an empty --data-dir',
  )
}

export function isToldOfRaft(settings: CoordinatorSettings): boolean {
  const { 'raft.bootstrap': isFirst, 'raft.join': others, 'raft.token': token } = settings
  return isFirst || others.length > 0 || token !== ''
}

export async function openSqlite(
  deps: EngineDeps,
  settings: CoordinatorSettings,
  path: string = metadataPathOf(settings.data_dir),
): Promise<Engine> {
  const store = await createSqliteStore(deps, { path })
  return { store, close: () => store.close() }
}

export interface EtcdPlace {
  /** Tells a new RAFT group from others that the same coordinators may have been in. */
  readonly groupName?: string
  /** Where its member is; in the data directory when not given. */
  readonly directory?: string
}

/**
 * Resolves when its member has a vote, or is a learner: then the store answers once it was promoted.
 */
export async function openEtcd(
  deps: EngineDeps,
  settings: CoordinatorSettings,
  initial: InitialCluster,
  place: EtcdPlace = {},
): Promise<Engine> {
  const { clock, logger, authority } = deps
  const address = raftAddressOf(settings)
  const member = await startEtcdMember(
    { ...deps, log: (level, message, fields) => logger[level](fields ?? {}, message) },
    {
      binary: settings['raft.etcd_binary'] || undefined,
      dataDirectory: place.directory ?? raftDirectoryOf(settings.data_dir),
      clusterId: place.groupName ?? authority.fingerprint,
      name: settings['raft.id'],
      peerAddress: address,
      clientAddress: settings['raft.client_addr'],
      credentials: (names) =>
        memberCredentials(authority, names, settings['tls.server_certificate_ttl']),
      planRenewal,
      initial,
    },
  )
  await hasVote(clock, logger, member)
  const at = { endpoints: [member.endpoint], tls: member.tls }
  const store = createEtcdStore({ clock }, at)
  const cluster = createEtcdCluster({ clock }, at)
  return {
    store,
    raft: { member, cluster, address },
    close: async () => {
      await store.close()
      cluster.close()
      await member.close()
    },
  }
}

const voteLookMs = 100
const voteSaidMs = 10_000

/** Until then it answers nothing: the leader lets it vote once it has caught up. */
async function hasVote(clock: Clock, logger: Logger, member: EtcdMember): Promise<void> {
  let saidAtMs = Number.NEGATIVE_INFINITY
  while (member.status().isLearner) {
    if (clock.monotonicMs() - saidAtMs >= voteSaidMs) {
      saidAtMs = clock.monotonicMs()
      logger.info({}, 'copying what the other coordinators have; it votes and serves afterwards')
    }
    await sleep(clock, voteLookMs)
  }
}

/** `failed_precondition`, with what to do, when there is no etcd that will do. */
export async function requireEtcd(binary: string | undefined): Promise<void> {
  await findEtcd(binary)
}

/** Where the others reach its RAFT member: as it says, or where it is reached itself. */
export function raftAddressOf(settings: CoordinatorSettings): string {
  const given = settings['raft.addr']
  if (given !== '') return given
  const [reached] = advertisedAddresses(settings)
  return formatAddress({ host: requireAddress(reached!).host, port: raftPortDefault })
}

async function memberCredentials(
  authority: CertificateAuthority,
  names: MemberNames,
  lifetimeMs: number,
): Promise<MemberCredentials> {
  const keyPem = await createKey()
  const issued = await authority.issue({
    csrPem: await createCsr(keyPem),
    spiffeId: { trustDomain: authority.trustDomain, type: 'service', id: 'etcd' },
    ...names,
    lifetimeMs,
  })
  const { certificatePem, notBeforeMs, notAfterMs } = issued
  return { keyPem, certificatePem, caPem: authority.certificatePem, notBeforeMs, notAfterMs }
}
