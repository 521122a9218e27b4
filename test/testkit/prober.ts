/**
 * A client that asks a service without pause, and writes down every request that failed.
 *
 * It behaves as a load balancer does that follows the service through the API, no better: it sends to the replicas that
 * were serving when it last heard, in turn, over connections it keeps; when one stops serving it sends it nothing more,
 * lets it finish what it was asked, and closes. Nothing is tried twice: whatever is not answered with 200 within the
 * deadline has failed, whoever is to blame, and so has a request that nobody was there to be asked. Connecting counts. Only
 * time in which this process itself was held up is not held against the service: what was answered meanwhile waits in
 * the sockets.
 */
import { Agent, get } from 'node:http'
import type { ReplicaStatus } from '@cloudless/api'
import { every, messageOf, systemClock } from '@cloudless/base'
import type { ApiClient } from './api-client.ts'
import { watchServing, type ServingWatch } from './serving-watch.ts'
import { steadyWebPort } from './steady-web.ts'
import { waitFor } from './wait-for.ts'

export interface ProberOptions {
  readonly workload: string
  readonly requestsPerSecond: number
  /** 5,000 when not given. */
  readonly deadlineMs?: number
}

export interface FailedRequest {
  /** When it was sent, as of `systemClock.monotonicMs`. */
  readonly sentAtMs: number
  readonly tookMs: number
  /** Empty when nobody served. */
  readonly replicaId: string
  readonly nodeName: string
  readonly cause: string
}

/** What was seen of the requests sent between two moments. */
export interface ProbeReport {
  readonly startedAtMs: number
  readonly tookMs: number
  readonly sent: number
  readonly failures: readonly FailedRequest[]
  /** Of those that were answered. */
  readonly latenciesMs: readonly number[]
  /** The fewest replicas that served at any moment. */
  readonly servingMin: number
}

export interface Prober {
  readonly watch: ServingWatch
  /** Does it, and resolves with what became of the requests sent meanwhile once each has ended. */
  during(act: () => Promise<void>): Promise<ProbeReport>
  /** Resolves when nothing is under way any more. */
  stop(): Promise<void>
}

const tickMs = 5
/** More is not made up for when this process was held up: a wave is not what was asked for. */
const perTickMax = 50
/** A tick that is later than this shows that the process was held up. */
const lateMsMax = 50
/** Under way at one replica; one that is asked for more has failed, as at a load balancer. */
const inFlightMax = 1_000
const endingOptions = { what: 'the last requests to end', deadlineMs: 60_000, pollMs: 10 }

/** Begins at once; fails requests until the first replica serves, so wait for that before counting. */
export function startProber(client: ApiClient, options: ProberOptions): Prober {
  const { requestsPerSecond, deadlineMs = 5_000 } = options
  const targets = new Map<string, Target>()
  const reports = new Set<OpenReport>()
  const watch = watchServing(client, options.workload, () => retarget(targets, watch.serving))
  let inFlight = 0
  let turn = 0
  let owed = 0
  let lastMs = systemClock.monotonicMs()
  let heldUpMs = 0
  const deadline = { deadlineMs, heldUpMs: () => heldUpMs }

  function tick(): void {
    const nowMs = systemClock.monotonicMs()
    if (nowMs - lastMs > tickMs + lateMsMax) heldUpMs += nowMs - lastMs - tickMs
    owed = Math.min(perTickMax, owed + ((nowMs - lastMs) * requestsPerSecond) / 1_000)
    lastMs = nowMs
    for (; owed >= 1; owed--) void send(nowMs)
  }

  async function send(sentAtMs: number): Promise<void> {
    const target = [...targets.values()][turn++ % Math.max(1, targets.size)]
    const open = [...reports]
    for (const report of open) report.begin()
    inFlight++
    const cause = await (target?.ask(deadline) ?? 'no replica serves')
    inFlight--
    const tookMs = systemClock.monotonicMs() - sentAtMs
    const { id: replicaId = '', nodeName = '' } = target?.replica ?? {}
    const failed = cause && { sentAtMs, tookMs, replicaId, nodeName, cause }
    for (const report of open) report.end(tookMs, failed || undefined)
  }

  const stopTicking = every(systemClock, tickMs, tick)

  return {
    watch,
    async during(act) {
      const report = new OpenReport()
      reports.add(report)
      try {
        await act()
      } finally {
        reports.delete(report)
      }
      const tookMs = systemClock.monotonicMs() - report.startedAtMs
      const servingMin = watch.fewestSince(report.startedAtMs)
      await report.ended()
      return report.close(tookMs, servingMin)
    },
    async stop() {
      stopTicking()
      await waitFor(() => inFlight === 0, endingOptions)
      watch.close()
      retarget(targets, [])
    },
  }
}

/** Keeps those that still serve, with their connections. */
function retarget(targets: Map<string, Target>, serving: readonly ReplicaStatus[]): void {
  const ids = new Set(serving.map((replica) => replica.id))
  for (const [id, target] of targets) {
    if (ids.has(id)) continue
    targets.delete(id)
    target.retire()
  }
  for (const replica of serving) {
    if (!targets.has(replica.id)) targets.set(replica.id, new Target(replica))
  }
}

/** A replica that is asked. */
class Target {
  readonly replica: ReplicaStatus
  readonly #connections = new Agent({ keepAlive: true, scheduling: 'lifo' })
  #inFlight = 0
  #retired = false

  constructor(replica: ReplicaStatus) {
    this.replica = replica
  }

  /** Resolves with why it failed; empty when it was answered. */
  async ask(deadline: Deadline): Promise<string> {
    if (this.#inFlight >= inFlightMax) return `${inFlightMax} requests wait for it already`
    this.#inFlight++
    try {
      return await request(this.#connections, this.replica.address, deadline)
    } finally {
      this.#inFlight--
      this.#closeWhenDone()
    }
  }

  retire(): void {
    this.#retired = true
    this.#closeWhenDone()
  }

  #closeWhenDone(): void {
    if (this.#retired && this.#inFlight === 0) this.#connections.destroy()
  }
}

interface Deadline {
  readonly deadlineMs: number
  /** Time in which this process did not come to read its sockets, so far. */
  readonly heldUpMs: () => number
}

function request(agent: Agent, host: string, deadline: Deadline): Promise<string> {
  return new Promise((resolve) => {
    const call = get({ agent, host, port: steadyWebPort, path: '/' }, (response) => {
      response.resume()
      response.on('error', fail)
      response.on('end', () => {
        cancel()
        resolve(response.statusCode === 200 ? '' : `status ${response.statusCode}`)
      })
    })
    const fail = (reason: Error): void => {
      cancel()
      resolve(messageOf(reason))
    }
    call.on('error', fail)
    const cancel = whenOver(deadline, () =>
      call.destroy(new Error(`no answer within ${deadline.deadlineMs} ms`)),
    )
  })
}

/** Calls `act` when the deadline has passed and this process had all of it to listen. */
function whenOver({ deadlineMs, heldUpMs }: Deadline, act: () => void): () => void {
  let counted = heldUpMs()
  let cancel = systemClock.after(deadlineMs, look)
  function look(): void {
    const missed = heldUpMs() - counted
    counted += missed
    if (missed > 0) cancel = systemClock.after(missed, look)
    else act()
  }
  return () => cancel()
}

class OpenReport {
  readonly startedAtMs = systemClock.monotonicMs()
  readonly #failures: FailedRequest[] = []
  readonly #latenciesMs: number[] = []
  #sent = 0
  #underWay = 0

  begin(): void {
    this.#sent++
    this.#underWay++
  }

  end(tookMs: number, failed: FailedRequest | undefined): void {
    this.#underWay--
    if (failed) this.#failures.push(failed)
    else this.#latenciesMs.push(tookMs)
  }

  async ended(): Promise<void> {
    await waitFor(() => this.#underWay === 0, endingOptions)
  }

  close(tookMs: number, servingMin: number): ProbeReport {
    return {
      startedAtMs: this.startedAtMs,
      tookMs,
      sent: this.#sent,
      failures: this.#failures,
      latenciesMs: this.#latenciesMs,
      servingMin,
    }
  }
}
