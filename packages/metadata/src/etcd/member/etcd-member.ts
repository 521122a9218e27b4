/**
 * A member of etcd run by us: a child process that is found, told how to run, kept running, watched, and spoken to over
 * TLS with certificates of the cluster only.
 *
 *     dataDirectory/     0700
 *       etcd/            what etcd stores
 *       tls/             member.pem: key and certificate, kept renewed; ca.pem
 *       member.json      timers found necessary, and the other members: see memory.ts
 */
import { chmodSync, existsSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { CloudlessError, makePrivateDirectory } from '@cloudless/base'
import { Members } from '../members.ts'
import { findEtcd, type EtcdBinary } from './binary.ts'
import { keepMemberCertificate, type MemberCertificate, type MemberTls } from './certificate.ts'
import { flagsFor, type EtcdLaunch } from './flags.ts'
import { measureDelays } from './measure.ts'
import {
  checkMemberOptions,
  namesOf,
  type EtcdMemberDeps,
  type EtcdMemberOptions,
} from './member-options.ts'
import { readMemory } from './memory.ts'
import { observe, Observer } from './observer.ts'
import { endOrphans } from './orphan.ts'
import type { MemberStatus } from './status.ts'
import { Recovery } from './recovery.ts'
import { Supervisor, type EtcdMemberState } from './supervisor.ts'
import type { EtcdTimers } from './timers.ts'
import { TimersKeeper } from './timers-keeper.ts'

export interface EtcdMember {
  /** Where it serves this machine: "https://127.0.0.1:2379". */
  readonly endpoint: string
  /** For `createEtcdStore` and `createEtcdCluster`; stays current while certificates are renewed, so hand it on whole. */
  readonly tls: MemberTls
  /** Such as "3.4.23". */
  readonly version: string
  readonly pid: number | undefined
  readonly state: EtcdMemberState
  readonly timers: EtcdTimers
  /** As last seen, at most two seconds ago while it answers. */
  status(): MemberStatus
  /** As it is now. Rejects when it does not answer. */
  look(): Promise<MemberStatus>
  /**
   * Restarts it as the only member of its cluster, with all it has; the others are left out for good. Resolves when it
   * leads; `unavailable` when it does not in time: what it has is untouched then, and it may be asked again.
   */
  recover(): Promise<void>
  /** Ends it in good order, and by force after twenty seconds. */
  close(): Promise<void>
}

const quotaBytesDefault = 8 * 1024 ** 3
const startMsMaxDefault = 30_000
const statusMsMax = 5_000

/**
 * Resolves when it serves. A directory that has a member is started as that member, whatever `initial` says.
 *
 * `failed_precondition` when somebody must act first: no etcd, or too old; an address in use; another coordinator on the
 * same directory; a member that was removed (detail `reason`: "removed"). `unavailable` when a later attempt may do.
 */
export async function startEtcdMember(
  deps: EtcdMemberDeps,
  options: EtcdMemberOptions,
): Promise<EtcdMember> {
  checkMemberOptions(options)
  const binary = await findEtcd(options.binary)
  const paths = pathsIn(options.dataDirectory)
  checkInitial(options, paths)
  makePrivateDirectory(paths.directory)
  chmodSync(paths.directory, 0o700)
  await endLeftovers(deps, binary, paths)
  const certificate = await keepMemberCertificate(deps, {
    directory: paths.tls,
    names: namesOf(options),
    planRenewal: options.planRenewal,
    credentials: options.credentials,
  })
  const members = new Members(deps.clock, {
    endpoints: [`https://${options.clientAddress}`],
    tls: certificate.tls,
  })
  const own = { binary, paths, certificate, members }
  try {
    return await startWith(deps, options, own)
  } catch (reason) {
    certificate.stop()
    members.close()
    throw CloudlessError.from(reason)
  }
}

interface OwnParts {
  readonly binary: EtcdBinary
  readonly paths: MemberPaths
  readonly certificate: MemberCertificate
  readonly members: Members
}

async function startWith(
  deps: EtcdMemberDeps,
  options: EtcdMemberOptions,
  { binary, paths, certificate, members }: OwnParts,
): Promise<EtcdMember> {
  const { clock, random, log } = deps
  const member = members.current
  const signal = options.signal ?? new AbortController().signal
  const measured = await measureDelays(clock, {
    directory: paths.directory,
    peerAddresses: peerAddressesOf(options, paths),
  })
  const keeper = new TimersKeeper(
    { clock, log, member, restart: (reason) => supervisor.restart(reason) },
    { memoryPath: paths.memory, measured, timersMin: options.timersMin },
  )
  const recovery = new Recovery(clock, member)
  const supervisor: Supervisor = new Supervisor(
    { clock, random, log, member, onState: options.onState ?? (() => undefined) },
    {
      binaryPath: binary.path,
      dataDirectory: paths.directory,
      flags: ({ isFirst }) =>
        flagsFor(
          launchOf(options, {
            paths,
            certificate,
            keeper,
            isRecovering: recovery.take(isFirst, options.initial),
          }),
          binary.flags,
        ),
    },
  )
  await supervisor.start(options.startMsMax ?? startMsMaxDefault, signal)
  const observer = await startObserver(deps, options, { paths, member, keeper, supervisor })
  log('info', `etcd ${binary.version} serves at ${options.clientAddress}`, { ...keeper.timers })
  return {
    endpoint: `https://${options.clientAddress}`,
    tls: certificate.tls,
    version: binary.version,
    get pid() {
      return supervisor.pid
    },
    get state() {
      return supervisor.state
    },
    get timers() {
      return keeper.timers
    },
    status: () => observer.status,
    look: () => lookAt(clock, member, paths.directory),
    recover: () => recovery.run((reason) => supervisor.restart(reason)),
    close: async () => {
      await Promise.all([observer.close(), keeper.close()])
      await supervisor.close()
      certificate.stop()
      members.close()
    },
  }
}

interface ObservedParts {
  readonly paths: MemberPaths
  readonly member: Members['current']
  readonly keeper: TimersKeeper
  readonly supervisor: Supervisor
}

async function startObserver(
  { clock, random, log }: EtcdMemberDeps,
  options: EtcdMemberOptions,
  { paths, member, keeper, supervisor }: ObservedParts,
): Promise<Observer> {
  try {
    const first = await lookAt(clock, member, paths.directory)
    return new Observer(
      {
        ...{ clock, random, log, member },
        isRunning: () => supervisor.state.kind === 'running',
        onLook: async (status) => (status === undefined ? keeper.forget() : keeper.see(status)),
        onAlarm: options.onAlarm ?? (() => undefined),
        onSilence: () => supervisor.replace(),
      },
      { directory: paths.directory, silenceMsMax: options.silenceMsMax },
      first,
    )
  } catch (reason) {
    await supervisor.close()
    throw CloudlessError.from(reason, `asking the etcd that was started for its status`)
  }
}

function lookAt(
  clock: EtcdMemberDeps['clock'],
  member: Members['current'],
  directory: string,
): Promise<MemberStatus> {
  const { signal } = new AbortController()
  return observe(clock, member, directory, { timeoutMs: statusMsMax, signal })
}

interface MemberPaths {
  readonly directory: string
  readonly etcd: string
  readonly tls: string
  readonly memory: string
}

function pathsIn(dataDirectory: string): MemberPaths {
  const directory = resolve(dataDirectory)
  return {
    directory,
    etcd: join(directory, 'etcd'),
    tls: join(directory, 'tls'),
    memory: join(directory, 'member.json'),
  }
}

/** Made by etcd in one step. */
function hasMember({ etcd }: MemberPaths): boolean {
  return existsSync(join(etcd, 'member', 'wal'))
}

function checkInitial({ initial }: EtcdMemberOptions, paths: MemberPaths): void {
  if (initial.kind !== 'recover' || hasMember(paths)) return
  throw new CloudlessError(
    'failed_precondition',
    `recovering etcd from ${paths.directory}: no member has stored anything there; ` +
      'say the data directory of a member that was part of the cluster',
  )
}

async function endLeftovers(
  { clock, log }: EtcdMemberDeps,
  binary: EtcdBinary,
  paths: MemberPaths,
): Promise<void> {
  const options = { dataDirectory: paths.etcd, binaryPath: binary.path }
  for (const pid of await endOrphans(clock, options)) {
    log('warn', 'ended an etcd that a coordinator before had left running', { pid })
  }
}

function peerAddressesOf(
  { initial, peerAddress }: EtcdMemberOptions,
  paths: MemberPaths,
): string[] {
  const joining = initial.kind === 'join' ? initial.members : []
  const given = joining.map((member) => member.peerAddress)
  const all = new Set([...given, ...readMemory(paths.memory).peerAddresses])
  return [...all].filter((address) => address !== peerAddress)
}

interface LaunchParts {
  readonly paths: MemberPaths
  readonly certificate: MemberCertificate
  readonly keeper: TimersKeeper
  readonly isRecovering: boolean
}

function launchOf(
  options: EtcdMemberOptions,
  { paths, certificate, keeper, isRecovering }: LaunchParts,
): EtcdLaunch {
  const { initial, name, peerAddress, peerListenAddress, clientAddress, clusterId } = options
  return {
    ...{ name, peerAddress, peerListenAddress, clientAddress, clusterId },
    dataDirectory: paths.etcd,
    pairPath: certificate.pairPath,
    caPath: certificate.caPath,
    quotaBytes: options.quotaBytes ?? quotaBytesDefault,
    timers: keeper.timers,
    joining: initial.kind === 'join' ? initial.members : undefined,
    isRecovering,
  }
}
