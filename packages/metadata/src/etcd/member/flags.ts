/** The command line of an etcd. Pure. */
import { isIP } from 'node:net'
import { formatAddress, parseAddress } from '@cloudless/base'
import { operationsPerTransactionMax, transactionBytesMax } from '../../rules.ts'
import type { EtcdTimers } from './timers.ts'

export interface EtcdPeer {
  /** Empty for one that was never started. */
  readonly name: string
  /** "host:port" where the others reach it. */
  readonly peerAddress: string
}

export interface EtcdLaunch extends EtcdPeer {
  /** Where it listens for the others; `peerAddress` when not given, or every interface when that is a name. */
  readonly peerListenAddress?: string | undefined
  /** "host:port" of this machine only. */
  readonly clientAddress: string
  readonly dataDirectory: string
  /** Key and certificate, in one file. */
  readonly pairPath: string
  readonly caPath: string
  readonly clusterId: string
  readonly quotaBytes: number
  readonly timers: EtcdTimers
  /** The other members when it joins a cluster that is there. */
  readonly joining?: readonly EtcdPeer[] | undefined
  /** Makes a cluster of one out of what is on its disk. */
  readonly isRecovering: boolean
}

/**
 * In the certificate of every member, and in no other of the cluster's: agents have certificates of the same CA, and
 * are not let in.
 */
export const memberServerName = 'etcd.cloudless'

/** What a watch or a reader that was away comes back to. */
const historyKept = '1h'
const snapshotCount = 10_000

/** `known` has the flags of this version, without dashes. */
export function flagsFor(launch: EtcdLaunch, known: ReadonlySet<string>): string[] {
  const { clientAddress, peerAddress, timers } = launch
  const pairs: [string, string | number | boolean][] = [
    ['name', launch.name],
    ['data-dir', launch.dataDirectory],
    ['listen-client-urls', urlOf(clientAddress)],
    ['advertise-client-urls', urlOf(clientAddress)],
    ['listen-peer-urls', urlOf(launch.peerListenAddress ?? listenAddressFor(peerAddress))],
    ['initial-advertise-peer-urls', urlOf(peerAddress)],
    ['initial-cluster', initialClusterOf(launch)],
    ['initial-cluster-state', launch.joining === undefined ? 'new' : 'existing'],
    ['initial-cluster-token', `cloudless-${launch.clusterId}`],
    ['strict-reconfig-check', true],
    ['pre-vote', true],
    ['heartbeat-interval', timers.heartbeatMs],
    ['election-timeout', timers.electionMs],
    ...tlsOf(launch),
    ['max-txn-ops', 4 * operationsPerTransactionMax],
    ['max-request-bytes', 2 * transactionBytesMax],
    ['quota-backend-bytes', launch.quotaBytes],
    ['auto-compaction-mode', 'periodic'],
    ['auto-compaction-retention', historyKept],
    ['snapshot-count', snapshotCount],
    ['enable-grpc-gateway', false],
    ['logger', 'zap'],
    ['log-outputs', 'stderr'],
    ['log-level', 'info'],
    ...ofSomeVersions(known),
    ...(launch.isRecovering ? [['force-new-cluster', true] as [string, boolean]] : []),
  ]
  return pairs.map(([name, value]) => `--${name}=${value}`)
}

/** The argument by which a running etcd is known for the one of this directory. */
export function dataDirectoryFlag(dataDirectory: string): string {
  return `--data-dir=${dataDirectory}`
}

function tlsOf({ pairPath, caPath }: EtcdLaunch): [string, string | boolean][] {
  return [
    ...[['cert-file', pairPath] as [string, string], ['key-file', pairPath] as [string, string]],
    ['trusted-ca-file', caPath],
    ['client-cert-auth', true],
    ['client-cert-allowed-hostname', memberServerName],
    ['peer-cert-file', pairPath],
    ['peer-key-file', pairPath],
    ['peer-trusted-ca-file', caPath],
    ['peer-client-cert-auth', true],
    ['peer-cert-allowed-hostname', memberServerName],
  ]
}

function ofSomeVersions(known: ReadonlySet<string>): [string, string | boolean][] {
  const flags: [string, string | boolean][] = []
  if (known.has('enable-v2')) flags.push(['enable-v2', false])
  if (known.has('tls-min-version')) flags.push(['tls-min-version', 'TLS1.3'])
  // Behind NAT, or with several addresses, a member comes from another than the one in its certificate. Its name counts.
  const skip = 'peer-skip-client-san-verification'
  const skipping = [skip, `experimental-${skip}`].find((name) => known.has(name))
  if (skipping !== undefined) flags.push([skipping, true])
  const check = 'experimental-initial-corrupt-check'
  if (known.has(check)) flags.push([check, true])
  else if (known.has('feature-gates')) flags.push(['feature-gates', 'InitialCorruptCheck=true'])
  return flags
}

function initialClusterOf({ name, peerAddress, joining = [] }: EtcdLaunch): string {
  const others = joining.filter((member) => member.peerAddress !== peerAddress)
  return [...others, { name, peerAddress }]
    .map((member, n) => `${member.name || `unnamed-${n}`}=${urlOf(member.peerAddress)}`)
    .join(',')
}

/** etcd listens at addresses and not at names. */
function listenAddressFor(peerAddress: string): string {
  const { host, port } = parseAddress(peerAddress)!
  return formatAddress({ host: isIP(host) === 0 ? '0.0.0.0' : host, port })
}

function urlOf(address: string): string {
  return `https://${address}`
}
