/**
 * The members of an etcd cluster as an operator sees them: who they are, who joins and leaves, what is wrong with them.
 *
 * A call that failed with `unavailable` and the outcome "unknown" may have been done: list the members before it is
 * repeated.
 */
import { CloudlessError, sleep, type Clock } from '@cloudless/base'
import { Code, ConnectError } from '@connectrpc/connect'
import {
  AlarmRequest_AlarmAction,
  AlarmType,
  type Member,
} from '../../gen/etcd/etcdserver/etcdserverpb/rpc_pb.ts'
import { explainFailure, leavesOutcomeUnknown, outcomeUnknown } from '../failure.ts'
import { Members, type CallOptions, type MemberClients, type MembersOptions } from '../members.ts'
import { alarmKinds, type Alarm } from './alarms.ts'
import { askStatus, idOf, type MemberStatus } from './status.ts'

export interface EtcdClusterMember {
  /** Lower-case hex. */
  readonly id: string
  /** Empty until it has started once. */
  readonly name: string
  /** "host:port". */
  readonly peerAddress: string
  readonly isLearner: boolean
  /** It has been started at least once; not that it runs. */
  readonly isStarted: boolean
}

export interface EtcdClusterOptions extends MembersOptions {
  /** How long a call waits for an answer; 10 s when not given. */
  readonly callMsMax?: number
}

/** `unavailable` when nobody answers, or there is no leader; `failed_precondition` when the cluster refuses. */
export interface EtcdCluster {
  members(): Promise<readonly EtcdClusterMember[]>
  /** It may be started now, and gets all data before it votes. `failed_precondition` while there is another learner. */
  addLearner(peerAddress: string): Promise<EtcdClusterMember>
  /** False while it has too little of the data yet. One that votes already is fine. */
  promote(id: string): Promise<boolean>
  /** It stops by itself and never belongs to the cluster again. One that is gone already is fine. */
  remove(id: string): Promise<void>
  /** Only the leader can, so the endpoint must be its own. */
  moveLeader(id: string): Promise<void>
  /** Of the member that answers. */
  status(): Promise<Omit<MemberStatus, 'diskFreeBytes' | 'observedMs'>>
  alarms(): Promise<readonly Alarm[]>
  /** Whatever raised it must be over, or it comes back. */
  disarm(alarm: Alarm): Promise<void>
  /** The member that answers serves nobody meanwhile. */
  defragment(): Promise<void>
  /** The database as a file: `etcdctl snapshot restore` reads it. Breaks off with an error when it cannot be whole. */
  snapshot(signal?: AbortSignal): AsyncIterable<Uint8Array>
  close(): void
}

const callMsMaxDefault = 10_000
const unsettledPauseMs = 1_000
const defragmentMsMax = 10 * 60_000

export function createEtcdCluster(
  { clock }: { readonly clock: Clock },
  options: EtcdClusterOptions,
): EtcdCluster {
  const members = new Members(clock, options)
  const closing = new AbortController()
  const timeoutMs = options.callMsMax ?? callMsMaxDefault
  const ask = new Asking(clock, members, { timeoutMs, signal: closing.signal })
  return {
    members: () => ask.read('listing the members of', membersOf),
    addLearner: (peerAddress) => addLearner(ask, peerAddress),
    promote: (id) => promote(ask, id),
    remove: (id) => remove(ask, id),
    moveLeader: async (id) => {
      const request = { targetID: parseId(id) }
      await ask.change('moving the leadership of', ({ maintenance }, call) =>
        maintenance.moveLeader(request, call),
      )
    },
    status: () => ask.read('asking', askStatus),
    alarms: () => ask.read('asking for the alarms of', alarmsOf),
    disarm: async ({ kind, memberId }) => {
      const request = {
        action: AlarmRequest_AlarmAction.DEACTIVATE,
        memberID: parseId(memberId),
        alarm: AlarmType[kind],
      }
      // Twice is as good as once.
      await ask.read('clearing an alarm of', ({ maintenance }, call) =>
        maintenance.alarm(request, call),
      )
    },
    defragment: async () => {
      await ask.change(
        'defragmenting',
        ({ maintenance }, call) => maintenance.defragment({}, call),
        defragmentMsMax,
      )
    },
    snapshot: (signal) => {
      const signals = signal === undefined ? [closing.signal] : [signal, closing.signal]
      return snapshotOf(members, AbortSignal.any(signals))
    },
    close: () => {
      closing.abort()
      members.close()
    },
  }
}

type Call<T> = (member: MemberClients, options: CallOptions) => Promise<T>

class Asking {
  readonly #clock: Clock
  readonly #members: Members
  readonly #options: CallOptions

  constructor(clock: Clock, members: Members, options: CallOptions) {
    this.#clock = clock
    this.#members = members
    this.#options = options
  }

  async read<T>(attempt: string, call: Call<T>): Promise<T> {
    try {
      return await this.#members.read(call, this.#options)
    } catch (reason) {
      throw explainFailure(reason, { attempt, members: this.#members.addresses })
    }
  }

  async change<T>(attempt: string, call: Call<T>, timeoutMs?: number): Promise<T> {
    const options = timeoutMs === undefined ? this.#options : { ...this.#options, timeoutMs }
    const clock = this.#clock
    const untilMs = clock.monotonicMs() + options.timeoutMs
    for (;;) {
      try {
        return await this.#members.change(call, options)
      } catch (reason) {
        const isOver = clock.monotonicMs() + unsettledPauseMs >= untilMs
        if (!isUnsettled(reason) || isOver) throw this.#explain(reason, attempt)
        await sleep(clock, unsettledPauseMs, options.signal)
      }
    }
  }

  #explain(reason: unknown, attempt: string): CloudlessError {
    const failed = { attempt, members: this.#members.addresses }
    if (isUnsettled(reason)) {
      const { message } = explainFailure(reason, failed)
      const why = 'some of its members have not been connected for long enough; try again shortly'
      return new CloudlessError('unavailable', `${message}: ${why}`, { cause: reason })
    }
    if (leavesOutcomeUnknown(reason)) return outcomeUnknown(reason, failed)
    return explainFailure(reason, failed)
  }
}

/** etcd refuses to change who belongs to it while not all have been connected for five seconds. */
function isUnsettled(reason: unknown): boolean {
  return ConnectError.from(reason).rawMessage.includes('unhealthy cluster')
}

async function membersOf(
  { cluster }: MemberClients,
  call: CallOptions,
): Promise<EtcdClusterMember[]> {
  const { members } = await cluster.memberList({}, call)
  return members.map(memberOf)
}

function memberOf({ ID, name, peerURLs, isLearner }: Member): EtcdClusterMember {
  const peerAddress = peerURLs[0] === undefined ? '' : new URL(peerURLs[0]).host
  return { id: idOf(ID), name, peerAddress, isLearner, isStarted: name !== '' }
}

async function addLearner(ask: Asking, peerAddress: string): Promise<EtcdClusterMember> {
  const request = { peerURLs: [`https://${peerAddress}`], isLearner: true }
  const { member } = await ask.change(`adding a member at ${peerAddress} to`, ({ cluster }, call) =>
    cluster.memberAdd(request, call),
  )
  return memberOf(member!)
}

async function promote(ask: Asking, id: string): Promise<boolean> {
  const request = { ID: parseId(id) }
  return ask.change(`promoting member ${id} of`, async ({ cluster }, call) => {
    try {
      await cluster.memberPromote(request, call)
      return true
    } catch (reason) {
      const { rawMessage } = ConnectError.from(reason)
      if (rawMessage.includes('can only promote a learner member which is in sync')) return false
      if (rawMessage.includes('can only promote a learner member')) return true
      throw reason
    }
  })
}

async function remove(ask: Asking, id: string): Promise<void> {
  const request = { ID: parseId(id) }
  await ask.change(`removing member ${id} from`, async ({ cluster }, call) => {
    try {
      await cluster.memberRemove(request, call)
    } catch (reason) {
      if (ConnectError.from(reason).code !== Code.NotFound) throw reason
    }
  })
}

async function alarmsOf({ maintenance }: MemberClients, call: CallOptions): Promise<Alarm[]> {
  const request = { action: AlarmRequest_AlarmAction.GET, alarm: AlarmType.NONE }
  const { alarms } = await maintenance.alarm(request, call)
  return alarms.flatMap(({ alarm, memberID }) => {
    const kind = alarmKinds.find((known) => AlarmType[known] === alarm)
    return kind === undefined ? [] : [{ kind, memberId: idOf(memberID) }]
  })
}

async function* snapshotOf(
  members: Members,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array, undefined> {
  const { address, maintenance } = members.current
  try {
    for await (const { blob } of maintenance.snapshot({}, { signal })) yield blob
  } catch (reason) {
    throw explainFailure(reason, { attempt: 'taking a snapshot of', members: [address] })
  }
  return undefined
}

function parseId(id: string): bigint {
  return BigInt(`0x${id}`)
}
