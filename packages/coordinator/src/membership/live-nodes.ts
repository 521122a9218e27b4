/**
 * What is known of the nodes now and is not worth storing: their sessions, when they were last heard, their usage.
 *
 * Lives in memory and is made anew by every start of the coordinator; the agents fill it within a second or two.
 */
import type { Clock } from '@cloudless/base'
import type {
  Hello,
  HeartbeatRequest,
  NodeCondition,
  NodeImages,
  ResourceUsage,
} from '@cloudless/api'
import { takeCensus, type Census } from './census.ts'
import { DeadlineQueue } from './deadline-queue.ts'
import { heartbeatIntervalFor } from './heartbeat-interval.ts'
import { ImageCatalog } from './image-catalog.ts'
import {
  awaited,
  dueMs,
  longLost,
  silenceLimitMs,
  stepLiveness,
  suspicionNow,
  type Liveness,
  type LivenessEvent,
  type LivenessOptions,
} from './liveness.ts'
import { OwnLateness } from './own-lateness.ts'
import { toldBy, type ToldFacts } from './told-facts.ts'

export interface LiveNode {
  readonly nodeId: string
  liveness: Liveness
  /** Unix milliseconds; 0: not since this coordinator started. */
  lastSeenAtMs: number
  usage: ResourceUsage | undefined
  conditions: readonly NodeCondition[]
  runtimeReady: boolean
  /** Agent's clock less ours, milliseconds. */
  clockSkewMs: number
  /** What it last said of itself in this session; the node's record follows. */
  told: ToldFacts
}

export interface LiveNodesDeps {
  readonly clock: Clock
  /** Called after a node's liveness changed its kind, or its runtime, its pressure, its images or what it says of itself did. */
  readonly onChange: (nodeId: string) => void
  /** Called with the full names of images that are now known to be made for other platforms than before. */
  readonly onPlatforms?: (images: readonly string[]) => void
}

/** How a node's silence is judged. */
export interface Detection {
  /** Mean time between its heartbeats, and how much it varies. */
  readonly intervalMs: number
  readonly deviationMs: number
  readonly limitMs: number
  readonly suspicion: number
}

/** What is asked of an agent with the welcome and with each answer. */
export interface Asked {
  readonly heartbeatIntervalMs: number
  /** How long we bear its silence. */
  readonly silenceLimitMs: number
}

/** A node that is looked at when it is due; what is queued for it is put right when its turn comes. */
interface Watched extends LiveNode {
  /** Of the agent whose session was the last; undefined before the first. */
  instanceId: string | undefined
  queuedMs: number
}

/** At least this often it is found out how late we are ourselves. */
const probeMs = 250
/** Those that fall silent within so little time are looked at together. */
const grainMs = 25
/** The census is taken again after this. */
const censusMs = 50

export class LiveNodes {
  readonly #deps: LiveNodesDeps
  readonly #options: LivenessOptions
  readonly #nodes = new Map<string, Watched>()
  readonly #images = new ImageCatalog()
  readonly #queue = new DeadlineQueue<Watched>()
  readonly #own = new OwnLateness()
  #connectedCount = 0
  #census: { readonly atMs: number; readonly census: Census } | undefined
  /** The timer that is set: when it fires, by the clock, and how to take it back. */
  #wake: { readonly atMs: number; readonly cancel: () => void } | undefined
  #isClosed = false

  constructor(deps: LiveNodesDeps, options: LivenessOptions) {
    this.#deps = deps
    this.#options = options
    this.#arm()
  }

  get(nodeId: string): LiveNode | undefined {
    return this.#nodes.get(nodeId)
  }

  /** Full names of the images on the node, as it told last; another set only when they have changed. */
  imagesOf(nodeId: string): ReadonlySet<string> {
    return this.#images.imagesOf(nodeId)
  }

  /**
   * What the image of this full name is made for, such as "linux/arm64"; empty when no node has told. The same array
   * until it changes.
   */
  platformsOf(image: string): readonly string[] {
    return this.#images.platformsOf(image)
  }

  /** How often agents are to send heartbeats while there are as many as now. */
  get heartbeatIntervalMs(): number {
    return heartbeatIntervalFor(this.#connectedCount, this.#options.heartbeatIntervalMs)
  }

  /** What to ask of the node now; it is judged by it from then on. */
  ask(nodeId: string): Asked {
    const intervalMs = this.heartbeatIntervalMs
    const node = this.#nodes.get(nodeId)
    if (!node) {
      return { heartbeatIntervalMs: intervalMs, silenceLimitMs: this.#options.heartbeatTimeoutMs }
    }
    this.#step(node, { kind: 'asked', intervalMs })
    const limitMs = silenceLimitMs(node.liveness.habits, this.#options)
    return { heartbeatIntervalMs: intervalMs, silenceLimitMs: Math.round(limitMs) }
  }

  /** How the node's silence is judged now. */
  detectionOf(nodeId: string): Detection | undefined {
    const node = this.#nodes.get(nodeId)
    if (!node) return undefined
    const { habits } = node.liveness
    const { lateMs, deviationMs } = habits.arrivals
    return {
      intervalMs: habits.intervalMs + lateMs,
      deviationMs,
      limitMs: silenceLimitMs(habits, this.#options) + this.#marginMs(),
      suspicion: suspicionNow(node.liveness, this.#nowMs() - this.#marginMs()),
    }
  }

  /** Who is there and who seems to be going, of all nodes. */
  census(): Census {
    const nowMs = this.#nowMs()
    if (this.#census && nowMs - this.#census.atMs < censusMs) return this.#census.census
    const census = takeCensus(this.#nodes.values(), nowMs - this.#marginMs())
    this.#census = { atMs: nowMs, census }
    return census
  }

  /** A member that was alive before this coordinator started: it has a while to return. */
  expect(nodeId: string): void {
    this.#ensure(nodeId, awaited(this.#nowMs(), this.#options))
  }

  /** A member that was known to be gone. */
  presumeLost(nodeId: string): void {
    this.#ensure(nodeId, longLost(this.#options))
  }

  connected(nodeId: string, hello: Hello): void {
    const node = this.#ensure(nodeId, longLost(this.#options))
    node.runtimeReady = hello.runtimeReady
    node.told = toldBy(hello)
    this.#toldImages(nodeId, hello.images)
    this.#heardWall(node, Number(hello.wallTimeMs))
    this.#step(node, { kind: 'session', isSameAgent: node.instanceId === hello.instanceId })
    node.instanceId = hello.instanceId
    this.#deps.onChange(nodeId)
  }

  heard(nodeId: string): void {
    const node = this.#nodes.get(nodeId)
    if (!node) return
    node.lastSeenAtMs = this.#deps.clock.wallMs()
    this.#step(node, { kind: 'heard' })
  }

  heartbeat(nodeId: string, heartbeat: HeartbeatRequest): void {
    const node = this.#nodes.get(nodeId)
    if (!node) return
    this.heard(nodeId)
    this.#heardWall(node, Number(heartbeat.wallTimeMs))
    node.usage = heartbeat.usage
    const runtimeReady = !heartbeat.conditions.some(
      (c) => c.type === 'RuntimeUnavailable' && c.status === 'True',
    )
    const told = toldBy(heartbeat, node.told)
    const changed =
      this.#toldImages(nodeId, heartbeat.images) ||
      runtimeReady !== node.runtimeReady ||
      told !== node.told ||
      !sameConditions(node.conditions, heartbeat.conditions)
    node.told = told
    node.runtimeReady = runtimeReady
    node.conditions = heartbeat.conditions
    if (changed) this.#deps.onChange(nodeId)
  }

  reset(nodeId: string): void {
    const node = this.#nodes.get(nodeId)
    if (node) this.#step(node, { kind: 'reset' })
  }

  goodbye(nodeId: string, expectedBackMs: number): void {
    const node = this.#nodes.get(nodeId)
    if (node) this.#step(node, { kind: 'goodbye', expectedBackMs })
  }

  forget(nodeId: string): void {
    const node = this.#nodes.get(nodeId)
    if (node?.liveness.kind === 'connected') this.#connectedCount--
    this.#nodes.delete(nodeId)
    this.#tellPlatforms(this.#images.forget(nodeId).platformsChanged)
  }

  close(): void {
    this.#isClosed = true
    this.#wake?.cancel()
  }

  /** Time in which we could listen: what all silence is measured by. */
  #nowMs(): number {
    return this.#deps.clock.monotonicMs() - this.#own.heldUpMs
  }

  #marginMs(): number {
    return this.#own.marginMs(this.#deps.clock.monotonicMs())
  }

  /** Sets the timer to when the next node is due, or to when we are to look at ourselves. */
  #arm(): void {
    if (this.#isClosed) return
    const { clock } = this.#deps
    const nowMs = clock.monotonicMs()
    const dueInMs =
      (this.#queue.first?.dueMs ?? Number.POSITIVE_INFINITY) + this.#marginMs() - this.#nowMs()
    const delayMs = Math.min(Math.max(1, Math.ceil(dueInMs)), probeMs)
    if (this.#wake && this.#wake.atMs <= nowMs + delayMs) return
    const atMs = nowMs + delayMs
    this.#wakeAfter(delayMs, () => this.#woken(atMs))
  }

  /** In place of the timer that is set: of two, each would tell of the same delay of ours. */
  #wakeAfter(delayMs: number, fire: () => void): void {
    const { clock } = this.#deps
    this.#wake?.cancel()
    this.#wake = { atMs: clock.monotonicMs() + delayMs, cancel: clock.after(delayMs, fire) }
  }

  /**
   * A timer that fires late means that this process was held up; what the nodes sent meanwhile still waits in the sockets.
   * So the look is put off until those have been read, and the delay is not held against the nodes.
   */
  #woken(dueAtMs: number): void {
    const { clock } = this.#deps
    const nowMs = clock.monotonicMs()
    const wasLate = this.#own.fired(dueAtMs, nowMs)
    this.#wake = undefined
    if (!wasLate && !this.#isAnyDue()) return this.#arm()
    this.#wakeAfter(0, () => this.#look())
  }

  #look(): void {
    this.#wake = undefined
    const marginMs = this.#marginMs()
    while (this.#isAnyDue()) {
      const { item: node } = this.#queue.take()!
      node.queuedMs = Number.POSITIVE_INFINITY
      this.#step(node, { kind: 'tick', marginMs })
      this.#enqueue(node)
    }
    this.#arm()
  }

  /** Whether the first of the queue is due now, not merely by what was known when it was queued. */
  #isAnyDue(): boolean {
    const judgedMs = this.#nowMs() - this.#marginMs()
    for (let first = this.#queue.first; first; first = this.#queue.first) {
      const { dueMs: queuedMs, item: node } = first
      if (queuedMs > judgedMs) return false
      const isCurrent = node.queuedMs === queuedMs && this.#nodes.get(node.nodeId) === node
      if (isCurrent && this.#dueMs(node) <= judgedMs) return true
      this.#queue.take()
      if (!isCurrent) continue
      node.queuedMs = Number.POSITIVE_INFINITY
      this.#enqueue(node)
    }
    return false
  }

  #enqueue(node: Watched): void {
    const atMs = this.#dueMs(node)
    if (atMs >= node.queuedMs || atMs === Number.POSITIVE_INFINITY) return
    node.queuedMs = atMs
    this.#queue.add(atMs, node)
    this.#arm()
  }

  #dueMs({ liveness }: Watched): number {
    const atMs = dueMs(liveness, this.#options)
    return liveness.kind === 'connected' ? Math.ceil(atMs / grainMs) * grainMs : atMs
  }

  #step(node: Watched, event: LivenessEvent): void {
    const before = node.liveness
    node.liveness = stepLiveness(before, event, this.#nowMs(), this.#options)
    if (node.liveness === before) return
    this.#enqueue(node)
    const { kind } = node.liveness
    if (before.kind === kind) return
    if (kind === 'connected') this.#connectedCount++
    if (before.kind === 'connected') this.#connectedCount--
    this.#census = undefined
    this.#deps.onChange(node.nodeId)
  }

  /** Whether there are others on it now. What was not told is as it was: images outlive a session. */
  #toldImages(nodeId: string, images: NodeImages | undefined): boolean {
    if (images === undefined) return false
    const { nodeChanged, platformsChanged } = this.#images.tell(nodeId, images)
    this.#tellPlatforms(platformsChanged)
    return nodeChanged
  }

  #tellPlatforms(images: readonly string[]): void {
    if (images.length > 0) this.#deps.onPlatforms?.(images)
  }

  #heardWall(node: LiveNode, agentWallMs: number): void {
    const wallMs = this.#deps.clock.wallMs()
    node.lastSeenAtMs = wallMs
    if (agentWallMs > 0) node.clockSkewMs = agentWallMs - wallMs
  }

  #ensure(nodeId: string, liveness: Liveness): Watched {
    const known = this.#nodes.get(nodeId)
    if (known) return known
    const node: Watched = {
      nodeId,
      liveness,
      queuedMs: Number.POSITIVE_INFINITY,
      instanceId: undefined,
      lastSeenAtMs: 0,
      usage: undefined,
      conditions: [],
      runtimeReady: true,
      clockSkewMs: 0,
      told: {},
    }
    this.#nodes.set(nodeId, node)
    this.#enqueue(node)
    return node
  }
}

function sameConditions(a: readonly NodeCondition[], b: readonly NodeCondition[]): boolean {
  return (
    a.length === b.length &&
    a.every((condition, n) => condition.type === b[n]!.type && condition.status === b[n]!.status)
  )
}
