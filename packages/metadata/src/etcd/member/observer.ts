/** Looks at a running member every two seconds: its status, its alarms, and whether it is time to defragment it. */
import { CloudlessError, sleep, type Clock, type Random } from '@cloudless/base'
import type { CallOptions, MemberClients } from '../members.ts'
import { changesOfAlarms, type Alarm, type AlarmChange } from './alarms.ts'
import { isDefragmentationDue, mayDefragment } from './defragmentation.ts'
import type { EtcdLog } from './output.ts'
import { askStatus, freeBytesAt, type MemberStatus } from './status.ts'

export interface ObserverDeps {
  readonly clock: Clock
  readonly random: Random
  readonly log: EtcdLog
  readonly member: MemberClients
  readonly isRunning: () => boolean
  /** Called with each new status, and with undefined when the member does not run. */
  readonly onLook: (status: MemberStatus | undefined) => Promise<void>
  readonly onAlarm: (change: AlarmChange) => void
  /** It runs, and has not answered for so long that it hangs. Called again after as long, if that did not help. */
  readonly onSilence: () => void
}

export interface ObserverOptions {
  /** Where the member has its files. */
  readonly directory: string
  /** 30 s when not given. */
  readonly silenceMsMax?: number | undefined
}

const lookMs = 2_000
const callMsMax = 2_000
const silenceMsMaxDefault = 30_000
/** Unanswered in a row: time alone may pass while this process is held up itself. */
const silentLooksMin = 3
const defragmentMsMax = 10 * 60_000
const hourMs = 3_600_000

export class Observer {
  readonly #deps: ObserverDeps
  readonly #options: ObserverOptions
  readonly #closing = new AbortController()
  #status: MemberStatus
  #alarms: readonly Alarm[] = []
  #answeredMs: number
  #silentLooks = 0
  #defragmentedMs: number
  #looking: Promise<void>

  /** Begins to look, from this status on. */
  constructor(deps: ObserverDeps, options: ObserverOptions, status: MemberStatus) {
    const { clock, random } = deps
    this.#deps = deps
    this.#options = options
    this.#status = status
    this.#answeredMs = clock.monotonicMs()
    // Members have the same data, and would otherwise all find it time together.
    this.#defragmentedMs = clock.monotonicMs() - random.next() * hourMs
    this.#looking = this.#lookAgain()
  }

  get status(): MemberStatus {
    return this.#status
  }

  async close(): Promise<void> {
    this.#closing.abort(new CloudlessError('cancelled', 'the member of etcd is closed'))
    await this.#looking
  }

  async #lookAgain(): Promise<void> {
    const { signal } = this.#closing
    const { clock } = this.#deps
    this.#tellAlarms()
    while (!signal.aborted) {
      try {
        await sleep(clock, lookMs, signal)
        await this.#look()
      } catch (reason) {
        if (signal.aborted) return
        this.#noteSilence(reason)
      }
    }
  }

  #noteSilence(reason: unknown): void {
    const { clock, log, onSilence } = this.#deps
    const { silenceMsMax = silenceMsMaxDefault } = this.#options
    const silentMs = clock.monotonicMs() - this.#answeredMs
    this.#silentLooks++
    if (silentMs < silenceMsMax || this.#silentLooks < silentLooksMin) return
    const { message } = CloudlessError.from(reason)
    log('error', `etcd has not answered for ${Math.round(silentMs / 1_000)} s: ${message}`)
    this.#noteAnswer()
    onSilence()
  }

  #noteAnswer(): void {
    this.#answeredMs = this.#deps.clock.monotonicMs()
    this.#silentLooks = 0
  }

  async #look(): Promise<void> {
    const { clock, member, isRunning, onLook } = this.#deps
    if (!isRunning()) {
      this.#noteAnswer()
      return onLook(undefined)
    }
    const { directory } = this.#options
    this.#status = await observe(clock, member, directory, this.#callOptions(callMsMax))
    this.#noteAnswer()
    this.#tellAlarms()
    await onLook(this.#status)
    await this.#defragmentIfDue()
  }

  #tellAlarms(): void {
    const { alarms } = this.#status
    for (const change of changesOfAlarms(this.#alarms, alarms)) this.#deps.onAlarm(change)
    this.#alarms = alarms
  }

  async #defragmentIfDue(): Promise<void> {
    const { clock, log, member } = this.#deps
    const { databaseBytes, databaseBytesInUse, leaderId, memberId } = this.#status
    const sinceLastMs = clock.monotonicMs() - this.#defragmentedMs
    const sizes = { databaseBytes, databaseBytesInUse, sinceLastMs }
    if (!isDefragmentationDue(sizes)) return
    const { members } = await member.cluster.memberList({}, this.#callOptions(callMsMax))
    const isAlone = members.filter(({ isLearner }) => !isLearner).length === 1
    if (!mayDefragment({ ...sizes, isLeader: leaderId === memberId, isAlone })) return
    this.#defragmentedMs = clock.monotonicMs()
    await member.maintenance.defragment({}, this.#callOptions(defragmentMsMax))
    const tookMs = Math.round(clock.monotonicMs() - this.#defragmentedMs)
    log('info', 'the database of etcd was defragmented', { databaseBytes, tookMs })
  }

  #callOptions(timeoutMs: number): CallOptions {
    return { timeoutMs, signal: this.#closing.signal }
  }
}

export async function observe(
  clock: Clock,
  member: MemberClients,
  directory: string,
  call: CallOptions,
): Promise<MemberStatus> {
  const [status, diskFreeBytes] = await Promise.all([
    askStatus(member, call),
    freeBytesAt(directory),
  ])
  return { ...status, diskFreeBytes, observedMs: clock.wallMs() }
}
