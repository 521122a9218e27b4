/**
 * Keeps one etcd running: started again whenever it ends, until it is closed or has been removed from its cluster.
 *
 *     start ──serves──▶ running ──ends──▶ restarting ──serves──▶ running
 *                          │                  │
 *                          └──── was removed ─┴──▶ removed
 */
import {
  backoffDelayMs,
  CloudlessError,
  messageOf,
  sleep,
  type Clock,
  type Random,
} from '@cloudless/base'
import type { MemberClients } from '../members.ts'
import { OutputForwarder, type EtcdLog } from './output.ts'
import { runEtcd, type EtcdRun } from './run.ts'
import { untilServing } from './serving.ts'
import { explainFailedStart } from './start-failure.ts'

/** Times are Unix milliseconds. */
export type EtcdMemberState =
  | { readonly kind: 'running' }
  | { readonly kind: 'restarting'; readonly reason: string; readonly sinceMs: number }
  /** Its data directory is of no use any more. */
  | { readonly kind: 'removed'; readonly sinceMs: number }
  | { readonly kind: 'closed' }

export interface SupervisorDeps {
  readonly clock: Clock
  readonly random: Random
  readonly log: EtcdLog
  readonly member: MemberClients
  readonly onState: (state: EtcdMemberState) => void
}

export interface SupervisorOptions {
  readonly binaryPath: string
  readonly dataDirectory: string
  /** Asked before each start. */
  readonly flags: (start: { readonly isFirst: boolean }) => readonly string[]
}

const backoff = { delayMsMin: 100, delayMsMax: 5_000 }
/** One that ran this long has not failed at starting. */
const settledMs = 60_000

export class Supervisor {
  readonly #deps: SupervisorDeps
  readonly #options: SupervisorOptions
  readonly #forwarder: OutputForwarder
  readonly #closing = new AbortController()
  #run: EtcdRun | undefined
  #state: EtcdMemberState = { kind: 'running' }
  #isFirst = true
  #plannedReason: string | undefined
  #supervising: Promise<void> = Promise.resolve()

  constructor(deps: SupervisorDeps, options: SupervisorOptions) {
    this.#deps = deps
    this.#options = options
    this.#forwarder = new OutputForwarder(deps.clock, deps.log)
  }

  get state(): EtcdMemberState {
    return this.#state
  }

  /** Of the last process there was. */
  get pid(): number | undefined {
    return this.#run?.pid
  }

  /** Resolves when it serves. Rejects, and has ended it, when it ends before that or takes longer than `startMsMax`. */
  async start(startMsMax: number, signal: AbortSignal): Promise<void> {
    const { clock } = this.#deps
    const run = await this.#spawn()
    const over = new AbortController()
    const waiting = AbortSignal.any([over.signal, signal])
    const serving = this.#untilServing(run, waiting)
    const late = sleep(clock, startMsMax, waiting)
    try {
      const outcome = await Promise.race([
        serving.then(() => undefined),
        run.ended,
        late.then(() => `it does not serve after ${startMsMax / 1_000} s`),
      ])
      if (outcome === undefined) {
        this.#supervising = this.#supervise(run)
        return
      }
      await run.stop()
      throw explainFailedStart(outcome, run.tail, this.#options.dataDirectory)
    } catch (reason) {
      await run.stop()
      throw reason
    } finally {
      over.abort(new CloudlessError('cancelled', 'the start is over'))
      await Promise.allSettled([serving, late])
    }
  }

  /** Ends it in good order, so that it is started again. Does nothing while it does not run. */
  async restart(reason: string): Promise<void> {
    if (this.#state.kind !== 'running') return
    this.#plannedReason = reason
    await this.#run?.stop()
  }

  /** Ends one that hangs, so that it is started again. Does nothing while it does not run. */
  replace(): void {
    if (this.#state.kind === 'running') this.#run?.kill()
  }

  async close(): Promise<void> {
    this.#closing.abort(new CloudlessError('cancelled', 'the member of etcd is closed'))
    await this.#run?.stop()
    await this.#supervising
    this.#become({ kind: 'closed' })
  }

  async #supervise(first: EtcdRun): Promise<void> {
    const { clock, log } = this.#deps
    let run: EtcdRun | undefined = first
    let startedMs = clock.monotonicMs()
    for (let failures = 0; ; failures++) {
      const how = run === undefined ? 'it could not be run' : await run.ended
      if (this.#closing.signal.aborted) return
      const sinceMs = this.#state.kind === 'restarting' ? this.#state.sinceMs : clock.wallMs()
      if (run?.tail.wasRemoved) {
        log('warn', 'this member was removed from the cluster of etcd, and is not started again')
        return this.#become({ kind: 'removed', sinceMs })
      }
      const planned = this.#plannedReason
      this.#plannedReason = undefined
      if (planned === undefined) sayWhy(log, how, run)
      this.#become({ kind: 'restarting', reason: planned ?? how, sinceMs })
      if (planned !== undefined || clock.monotonicMs() - startedMs > settledMs) failures = 0
      try {
        await this.#pause(failures)
        startedMs = clock.monotonicMs()
        run = await this.#spawn()
      } catch (reason) {
        if (this.#closing.signal.aborted) return
        log('error', `etcd could not be started again: ${messageOf(reason)}`)
        run = undefined
        continue
      }
      if (this.#closing.signal.aborted) return run.stop()
      this.#sayWhenServing(run)
    }
  }

  #pause(failures: number): Promise<void> {
    const delayMs = backoffDelayMs(this.#deps.random, failures, backoff)
    return sleep(this.#deps.clock, delayMs, this.#closing.signal)
  }

  async #spawn(): Promise<EtcdRun> {
    const { clock } = this.#deps
    const flags = this.#options.flags({ isFirst: this.#isFirst })
    const run = await runEtcd(
      { clock, forwarder: this.#forwarder },
      this.#options.binaryPath,
      flags,
    )
    this.#isFirst = false
    this.#run = run
    run.raisePriority()
    return run
  }

  #sayWhenServing(run: EtcdRun): void {
    const ended = new AbortController()
    void run.ended.then(() => ended.abort(new Error('it has ended')))
    this.#untilServing(run, AbortSignal.any([ended.signal, this.#closing.signal])).then(
      () => this.#become({ kind: 'running' }),
      () => undefined, // It ended before: whoever looks after it has seen that.
    )
  }

  async #untilServing(run: EtcdRun, signal: AbortSignal): Promise<void> {
    await untilServing(this.#deps.clock, this.#deps.member, signal)
    // Again, for the threads that it has started since.
    run.raisePriority()
  }

  #become(state: EtcdMemberState): void {
    this.#state = state
    this.#deps.onState(state)
  }
}

function sayWhy(log: EtcdLog, how: string, run: EtcdRun | undefined): void {
  const last = run?.tail.lines.at(-1) ?? ''
  log('warn', `etcd has ended and is started again: ${how}`, { lastLine: last })
}
