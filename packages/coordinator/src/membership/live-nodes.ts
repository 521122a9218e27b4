/**
 * What is known of the nodes now and is not worth storing: their sessions, when they were last heard, their usage.
 *
 * Lives in memory and is made anew by every start of the coordinator; the agents fill it within a second or two.
 */
import { every, type Clock } from '@cloudless/base'
import type {
  Hello,
  HeartbeatRequest,
  NodeCondition,
  NodeImages,
  ResourceUsage,
} from '@cloudless/api'
import { ImageCatalog } from './image-catalog.ts'
import {
  onTime,
  stepLiveness,
  type Liveness,
  type LivenessEvent,
  type LivenessOptions,
} from './liveness.ts'
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

/** How often silence is looked for. Bounds the lateness of a verdict. */
const tickMs = 100
/** Timers are always a little late; more than this means that the process was held up. */
const timerSlackMs = 20

export class LiveNodes {
  readonly #deps: LiveNodesDeps
  readonly #options: LivenessOptions
  readonly #nodes = new Map<string, LiveNode>()
  readonly #images = new ImageCatalog()
  readonly #stop: () => void
  #tickDueMs: number

  constructor(deps: LiveNodesDeps, options: LivenessOptions) {
    this.#deps = deps
    this.#options = options
    this.#tickDueMs = deps.clock.monotonicMs() + tickMs
    this.#stop = every(deps.clock, tickMs, () => this.#tick())
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

  get heartbeatIntervalMs(): number {
    return this.#options.heartbeatIntervalMs
  }

  /** A member that was alive before this coordinator started: it has a while to return. */
  expect(nodeId: string): void {
    const deadlineMs = this.#deps.clock.monotonicMs() + this.#options.returnGraceMs
    this.#ensure(nodeId, { kind: 'absent', deadlineMs, lateness: onTime })
  }

  /** A member that was known to be gone. */
  presumeLost(nodeId: string): void {
    this.#ensure(nodeId, { kind: 'lost', cause: 'absence', lateness: onTime })
  }

  connected(nodeId: string, hello: Hello): void {
    const node = this.#ensure(nodeId, { kind: 'lost', cause: 'absence', lateness: onTime })
    node.runtimeReady = hello.runtimeReady
    node.told = toldBy(hello)
    this.#toldImages(nodeId, hello.images)
    this.#heardWall(node, Number(hello.wallTimeMs))
    this.#step(node, { kind: 'session' })
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
    if (!node) return
    this.#step(node, { kind: 'reset' })
    // Looked at exactly when the grace is over, not at the next tick.
    const dueMs = this.#deps.clock.monotonicMs() + this.#options.resetGraceMs + 1
    this.#deps.clock.after(this.#options.resetGraceMs + 1, () => this.#look(dueMs, () => [node]))
  }

  goodbye(nodeId: string, expectedBackMs: number): void {
    const node = this.#nodes.get(nodeId)
    if (node) this.#step(node, { kind: 'goodbye', expectedBackMs })
  }

  forget(nodeId: string): void {
    this.#nodes.delete(nodeId)
    this.#tellPlatforms(this.#images.forget(nodeId).platformsChanged)
  }

  close(): void {
    this.#stop()
  }

  /**
   * Timers that fire late mean that this process was held up; what the nodes sent meanwhile still waits in the sockets.
   * So the look is put off until those have been read, and the delay is not held against the nodes.
   */
  #tick(): void {
    const dueMs = this.#tickDueMs
    this.#tickDueMs = this.#deps.clock.monotonicMs() + tickMs
    this.#look(dueMs, () => this.#nodes.values())
  }

  #look(dueMs: number, nodes: () => Iterable<LiveNode>): void {
    const { clock } = this.#deps
    clock.after(0, () => {
      const lateMs = clock.monotonicMs() - dueMs
      const overdueMs = lateMs > timerSlackMs ? lateMs : 0
      for (const node of nodes()) this.#step(node, { kind: 'tick', overdueMs })
    })
  }

  #step(node: LiveNode, event: LivenessEvent): void {
    const before = node.liveness
    const nowMs = this.#deps.clock.monotonicMs()
    node.liveness = stepLiveness(before, event, nowMs, this.#options)
    if (before.kind !== node.liveness.kind) this.#deps.onChange(node.nodeId)
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

  #ensure(nodeId: string, liveness: Liveness): LiveNode {
    const known = this.#nodes.get(nodeId)
    if (known) return known
    const node: LiveNode = {
      nodeId,
      liveness,
      lastSeenAtMs: 0,
      usage: undefined,
      conditions: [],
      runtimeReady: true,
      clockSkewMs: 0,
      told: {},
    }
    this.#nodes.set(nodeId, node)
    return node
  }
}

function sameConditions(a: readonly NodeCondition[], b: readonly NodeCondition[]): boolean {
  return (
    a.length === b.length &&
    a.every((condition, n) => condition.type === b[n]!.type && condition.status === b[n]!.status)
  )
}
