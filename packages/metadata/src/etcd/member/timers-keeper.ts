/**
 * Keeps the timers of a member wide enough for its cluster: when it elects too often, and when a member is farther away
 * than those before. Wider ones take a restart; members take turns at it, and only while all that vote are there.
 */
import { CloudlessError, sleep, type Clock } from '@cloudless/base'
import type { CallOptions, MemberClients } from '../members.ts'
import { isTooTight, rememberElections, type Election } from './elections.ts'
import { acceptsConnections, measureRoundTripMax } from './measure.ts'
import { readMemory, timersRemembered, writeMemory } from './memory.ts'
import type { EtcdLog } from './output.ts'
import { idOf, type MemberStatus } from './status.ts'
import { timersFor, widerTimers, widestOf, type EtcdTimers, type MeasuredDelays } from './timers.ts'
import { delayToTurn } from './turns.ts'

export interface TimersKeeperDeps {
  readonly clock: Clock
  readonly log: EtcdLog
  readonly member: MemberClients
  readonly restart: (reason: string) => Promise<void>
}

export interface TimersKeeperOptions {
  readonly memoryPath: string
  readonly measured: MeasuredDelays
  /** What the cluster has agreed on, if it has. */
  readonly timersMin: EtcdTimers | undefined
}

interface Peer {
  readonly id: string
  readonly address: string
  readonly isVoter: boolean
}

const membersLookMs = 60_000
const callMsMax = 2_000

export class TimersKeeper {
  readonly #deps: TimersKeeperDeps
  readonly #options: TimersKeeperOptions
  readonly #closing = new AbortController()
  #timers: EtcdTimers
  #elections: readonly Election[] = []
  #previous: MemberStatus | undefined
  #nextLookMs = 0
  #knownPeers = ''
  #widening: Promise<void> | undefined

  constructor(deps: TimersKeeperDeps, options: TimersKeeperOptions) {
    this.#deps = deps
    this.#options = options
    const remembered = timersRemembered(readMemory(options.memoryPath), deps.clock.wallMs())
    const wanted = [timersFor(options.measured), remembered, options.timersMin]
    this.#timers = widestOf(...wanted.filter((timers) => timers !== undefined))
  }

  get timers(): EtcdTimers {
    return this.#timers
  }

  /** It was not running: what happened since is not known. */
  forget(): void {
    this.#previous = undefined
  }

  /** Called with each status, one at a time. */
  async see(status: MemberStatus): Promise<void> {
    const previous = this.#previous
    this.#previous = status
    const nowMs = this.#deps.clock.monotonicMs()
    const isNewTerm = previous !== undefined && status.raftTerm > previous.raftTerm
    this.#elections = rememberElections(this.#elections, {
      nowMs,
      previousTerm: previous?.raftTerm,
      term: status.raftTerm,
      isFormerLeaderThere: isNewTerm && (await this.#isThere(previous)),
    })
    if (this.#widening !== undefined || status.isLearner) return
    if (isTooTight(this.#elections)) {
      this.#widen(status, widerTimers(this.#timers), 'its cluster elected too often')
    } else if (nowMs >= this.#nextLookMs) {
      this.#nextLookMs = nowMs + membersLookMs
      await this.#lookAtPeers(status)
    }
  }

  async close(): Promise<void> {
    this.#closing.abort(new CloudlessError('cancelled', 'the member of etcd is closed'))
    await this.#widening
  }

  /** Whether the leader of then is a member, and its port answers. */
  async #isThere({ leaderId, memberId }: MemberStatus): Promise<boolean> {
    if (leaderId === undefined || leaderId === memberId) return true
    const leader = (await this.#peers()).find(({ id }) => id === leaderId)
    return leader !== undefined && acceptsConnections(this.#deps.clock, leader.address)
  }

  async #lookAtPeers(status: MemberStatus): Promise<void> {
    const others = (await this.#peers()).filter(({ id }) => id !== status.memberId)
    const peerAddresses = others.map(({ address }) => address).sort()
    if (peerAddresses.join() === this.#knownPeers) return
    const roundTripMs = await measureRoundTripMax(this.#deps.clock, peerAddresses)
    this.#knownPeers = peerAddresses.join()
    writeMemory(this.#options.memoryPath, {
      ...readMemory(this.#options.memoryPath),
      peerAddresses,
    })
    const needed = timersFor({ fsyncMs: this.#options.measured.fsyncMs, roundTripMs })
    const wider = widestOf(needed, this.#timers)
    const isWider =
      wider.heartbeatMs > this.#timers.heartbeatMs || wider.electionMs > this.#timers.electionMs
    if (isWider) this.#widen(status, wider, `a member is ${Math.ceil(roundTripMs)} ms away`)
  }

  #widen(status: MemberStatus, wider: EtcdTimers | undefined, reason: string): void {
    this.#elections = []
    if (wider === undefined) {
      this.#deps.log('warn', `etcd: ${reason}, and its timers are as wide as they may be`)
      return
    }
    this.#widening = this.#widenInTurn(status, wider, reason)
      .catch((failure: unknown) => {
        if (this.#closing.signal.aborted) return
        this.#knownPeers = ''
        this.#deps.log('warn', `etcd: ${reason}, and its timers could not be widened`, {
          reason: CloudlessError.from(failure).message,
        })
      })
      .finally(() => (this.#widening = undefined))
  }

  async #widenInTurn(status: MemberStatus, wider: EtcdTimers, reason: string): Promise<void> {
    const { clock, log } = this.#deps
    const voters = (await this.#peers()).filter(({ isVoter }) => isVoter)
    const place = voters.findIndex(({ id }) => id === status.memberId)
    const turn = Math.max(0, place)
    const delayMs = delayToTurn({ wallMs: clock.wallMs(), turn, turns: voters.length })
    await sleep(clock, delayMs, this.#closing.signal)
    for (const { id, address } of voters) {
      if (id === status.memberId || (await acceptsConnections(clock, address))) continue
      throw new CloudlessError('unavailable', `the member at ${address} is not there`)
    }
    const { heartbeatMs, electionMs } = wider
    log('warn', `etcd is restarted with wider timers: ${reason}`, { heartbeatMs, electionMs })
    writeMemory(this.#options.memoryPath, {
      ...readMemory(this.#options.memoryPath),
      widened: { ...wider, atMs: clock.wallMs() },
    })
    this.#timers = wider
    await this.#deps.restart(`its timers are widened: ${reason}`)
  }

  /** In the order in which they take turns. */
  async #peers(): Promise<Peer[]> {
    const call: CallOptions = { timeoutMs: callMsMax, signal: this.#closing.signal }
    const { members } = await this.#deps.member.cluster.memberList({}, call)
    return members
      .filter(({ peerURLs }) => peerURLs.length > 0)
      .map(({ ID, peerURLs, isLearner }) => ({
        id: idOf(ID),
        address: new URL(peerURLs[0]!).host,
        isVoter: !isLearner,
      }))
      .sort((a, b) => (a.id < b.id ? -1 : 1))
  }
}
