/** What is asked of a member of etcd, and whether it can be. */
import { isIP } from 'node:net'
import {
  CloudlessError,
  parseAddress,
  type Address,
  type Clock,
  type Random,
} from '@cloudless/base'
import type { AlarmChange } from './alarms.ts'
import type { MemberCredentials, MemberNames, PlanRenewal } from './certificate.ts'
import { memberServerName, type EtcdPeer } from './flags.ts'
import type { EtcdLog } from './output.ts'
import type { EtcdMemberState } from './supervisor.ts'
import type { EtcdTimers } from './timers.ts'

export interface EtcdMemberDeps {
  readonly clock: Clock
  readonly random: Random
  readonly log: EtcdLog
}

export type InitialCluster =
  | { readonly kind: 'new' }
  /** `members`: all that the cluster lists, as it lists them; with or without this one. */
  | { readonly kind: 'join'; readonly members: readonly EtcdPeer[] }
  /** The data of this member becomes a cluster of one; the other members are left out for good. */
  | { readonly kind: 'recover' }

export interface EtcdMemberOptions {
  /** Of the etcd program; when not given it is looked for on PATH. */
  readonly binary?: string | undefined
  /** Made when absent; only its owner can enter. */
  readonly dataDirectory: string
  /** The same for all members. */
  readonly clusterId: string
  /** Letters, digits, ".", "-" and "_". */
  readonly name: string
  /** "host:port" where the other members reach it. */
  readonly peerAddress: string
  /** Where it listens for them; `peerAddress` when not given, or every IPv4 interface when that is a name. */
  readonly peerListenAddress?: string | undefined
  /** "host:port" of this machine only, such as "127.0.0.1:2379". */
  readonly clientAddress: string
  /** A new key and a certificate for these names, which others than members of etcd must never get. */
  readonly credentials: (names: MemberNames) => Promise<MemberCredentials>
  /** When to ask for another: that of the identity package. */
  readonly planRenewal: PlanRenewal
  /** Looked at only while the data directory has no member yet; 'recover' only when it has one. */
  readonly initial: InitialCluster
  /** How large its database may become; 8 GiB when not given. */
  readonly quotaBytes?: number | undefined
  /** What the other members run with; it is never narrower. */
  readonly timersMin?: EtcdTimers | undefined
  /** How long it may take until it serves; 30 s when not given. */
  readonly startMsMax?: number | undefined
  /** How long it may not answer until it is ended and started again; 30 s when not given. */
  readonly silenceMsMax?: number | undefined
  /** Breaks off the start. */
  readonly signal?: AbortSignal | undefined
  readonly onState?: ((state: EtcdMemberState) => void) | undefined
  readonly onAlarm?: ((change: AlarmChange) => void) | undefined
}

const nameShape = /^[A-Za-z0-9._-]{1,255}$/

/** `invalid_argument` when it can come to nothing. */
export function checkMemberOptions(options: EtcdMemberOptions): void {
  const problem = problemWithOptions(options)
  if (problem === undefined) return
  throw new CloudlessError('invalid_argument', `starting a member of etcd: ${problem}`)
}

function problemWithOptions(options: EtcdMemberOptions): string | undefined {
  const { name, peerAddress, peerListenAddress, clientAddress, initial } = options
  const others = initial.kind === 'join' ? initial.members : []
  if (!nameShape.test(name)) return `"${name}" cannot be the name of a member`
  for (const member of [{ name, peerAddress }, ...others]) {
    // One that was never started has no name yet.
    if (member.name !== '' && !nameShape.test(member.name)) {
      return `"${member.name}" cannot be the name of a member`
    }
    if (!isReachable(member.peerAddress)) return `"${member.peerAddress}" is no "host:port"`
  }
  if (peerListenAddress !== undefined && !isBindable(peerListenAddress)) {
    return `"${peerListenAddress}" is no address to listen at: an IP address and a port`
  }
  if (!isLoopback(clientAddress)) {
    return `"${clientAddress}" is no address of this machine only, such as 127.0.0.1:2379`
  }
  return undefined
}

function isReachable(text: string): boolean {
  const address = parseAddress(text)
  return address !== undefined && address.host !== '' && address.port !== 0
}

function isBindable(text: string): boolean {
  const address = parseAddress(text)
  return address !== undefined && isIP(address.host) !== 0
}

function isLoopback(text: string): boolean {
  const { host = '', port = 0 }: Partial<Address> = parseAddress(text) ?? {}
  return port !== 0 && (host === '::1' || (isIP(host) === 4 && host.startsWith('127.')))
}

/** What the certificate of the member is asked for by: its own client, the other members, and the name of them all. */
export function namesOf({ peerAddress, clientAddress }: EtcdMemberOptions): MemberNames {
  const hosts = [peerAddress, clientAddress].map((text) => parseAddress(text)!.host)
  const all = [...new Set([memberServerName, 'localhost', '127.0.0.1', ...hosts])]
  return {
    dnsNames: all.filter((host) => isIP(host) === 0),
    ipAddresses: all.filter((host) => isIP(host) !== 0),
  }
}
