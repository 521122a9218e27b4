/** A machine that is a member: its power, its clock, its containers, and the agent that runs on it or does not. */
import { create } from '@bufbuild/protobuf'
import type { AgentLogger, ContainerInfo } from '@cloudless/agent/simulation'
import { ReplicaUsageSchema, type ReplicaUsage, type ResourceCapacity } from '@cloudless/api'
import { randomId, type Random } from '@cloudless/base'
import { Connection, type ConnectionDeps } from './connection.ts'
import { HollowAgent } from './hollow-agent.ts'
import { Disturbance } from './disturbance.ts'
import type { Link } from './link.ts'
import { ProcessClock, type WallOffset } from './process-clock.ts'
import { forkRandom } from './random-streams.ts'
import { SimulatedContainers } from './simulated-containers.ts'
import { crashRecordDisk, type RecordDisk } from './simulated-record.ts'
import type { VirtualClock } from './virtual-clock.ts'

export interface SimulatedNodeDeps {
  readonly world: VirtualClock
  readonly random: Random
  readonly link: Link
  readonly disk: RecordDisk
  readonly logger: AgentLogger
  /** The coordinator's side of a connection. */
  readonly server: Pick<ConnectionDeps, 'serverMachine' | 'listening' | 'onMessage'>
  readonly onRunning: (replicaId: string, isRunning: boolean) => void
  /** What clients ask of each container of a workload, millicores; undefined: nothing. */
  readonly loadOf: (workloadId: string) => number | undefined
}

export interface SimulatedNodeOptions {
  readonly nodeId: string
  readonly name: string
  readonly capacity: ResourceCapacity
  readonly allocatable: ResourceCapacity
}

export class SimulatedNode {
  readonly nodeId: string
  readonly name: string
  readonly allocatable: ResourceCapacity
  readonly link: Link
  readonly disk: RecordDisk
  readonly containers: SimulatedContainers
  readonly wall: WallOffset = { offsetMs: 0 }
  readonly disturbance: Disturbance
  readonly #deps: SimulatedNodeDeps
  readonly #options: SimulatedNodeOptions
  readonly #connections = new Set<Connection>()
  #machine: ProcessClock
  #bootId: string
  #agent: HollowAgent | undefined
  #powered = true
  #asleep = false
  #removed = false

  constructor(deps: SimulatedNodeDeps, options: SimulatedNodeOptions) {
    this.#deps = deps
    this.#options = options
    this.nodeId = options.nodeId
    this.name = options.name
    this.allocatable = options.allocatable
    this.link = deps.link
    this.disk = deps.disk
    this.disturbance = new Disturbance(deps.world)
    this.#machine = new ProcessClock(deps.world, this.wall)
    this.#bootId = randomId(deps.random, 16)
    this.containers = new SimulatedContainers({
      random: forkRandom(deps.random),
      machine: () => this.#machine,
      onRunning: deps.onRunning,
    })
  }

  /** Its agent runs, is awake and can be reached. */
  get isUp(): boolean {
    const isReachable = !this.link.isCut('up') && !this.link.isCut('down')
    return this.#agent !== undefined && !this.#asleep && isReachable
  }

  get isPowered(): boolean {
    return this.#powered
  }

  get isAsleep(): boolean {
    return this.#asleep
  }

  get agent(): HollowAgent | undefined {
    return this.#agent
  }

  /** It was told that its membership has ended. */
  get hasLeft(): boolean {
    return this.#removed
  }

  /** Connections that one of the two sides still believes in. */
  get connectionCount(): number {
    return this.#connections.size
  }

  startAgent(): void {
    if (this.#agent || !this.#powered || this.#removed) return
    this.disturbance.note()
    const clock = new ProcessClock(this.#deps.world, this.wall)
    const random = forkRandom(this.#deps.random)
    const { logger, loadOf } = this.#deps
    const runtime = this.containers.runtimeFor(clock)
    const dial = () => this.#dial(clock)
    const usages = () => usagesOf(this.containers.running(), loadOf)
    const deps = { clock, random, runtime, disk: this.disk, dial, logger, usages }
    const agent = new HollowAgent(deps, { ...this.#options, bootId: this.#bootId })
    if (this.#asleep) clock.suspend()
    this.#agent = agent
    void this.#follow(agent)
  }

  /** As kill -9: its kernel resets the connections, its containers run on. */
  killAgent(): void {
    const agent = this.#agent
    if (agent === undefined) return
    this.#agent = undefined
    agent.clock.kill()
    crashRecordDisk(this.disk, this.#deps.random)
    for (const connection of this.#connections) connection.clientDied()
  }

  /** In order: it says goodbye. */
  async stopAgent(): Promise<void> {
    const agent = this.#agent
    this.#agent = undefined
    await agent?.stop()
  }

  /** The agent is held up for a while, as on a machine that has too much to do. */
  holdUpAgent(durationMs: number): void {
    const agent = this.#agent
    if (agent === undefined || this.#asleep) return
    this.disturbance.note(durationMs)
    agent.clock.suspend()
    this.#deps.world.after(durationMs, () => {
      if (!this.#asleep) agent.clock.resume()
    })
  }

  powerOff(): void {
    if (!this.#powered) return
    this.#powered = false
    this.#asleep = false
    for (const connection of this.#connections) connection.clientVanished()
    this.#agent?.clock.kill()
    this.#agent = undefined
    this.#machine.kill()
    crashRecordDisk(this.disk, this.#deps.random)
    this.containers.powerOff()
  }

  /** Another boot; the agent starts with the machine. */
  powerOn(): void {
    if (this.#powered) return
    this.#powered = true
    this.#machine = new ProcessClock(this.#deps.world, this.wall)
    this.#bootId = randomId(this.#deps.random, 16)
    for (const connection of this.#connections) connection.clientForgot()
    this.#connections.clear()
    this.startAgent()
  }

  /** As a laptop whose lid is closed: everything on it stops where it is. */
  suspend(): void {
    if (!this.#powered || this.#asleep) return
    this.#asleep = true
    this.#machine.suspend()
    this.#agent?.clock.suspend()
  }

  resume(): void {
    if (!this.#asleep) return
    this.#asleep = false
    this.disturbance.note()
    this.#machine.resume()
    this.#agent?.clock.resume()
  }

  /** The coordinator's process has died. */
  serverDied(isPowerLoss: boolean): void {
    if (isPowerLoss) return
    for (const connection of this.#connections) connection.serverDied()
  }

  async #follow(agent: HollowAgent): Promise<void> {
    const end = await agent.run()
    if (this.#agent !== agent) return
    this.#agent = undefined
    if (end.kind === 'evicted' && end.reason === 'removed') this.#removed = true
    await agent.supervisor.close()
  }

  #dial(client: ProcessClock) {
    const connection = new Connection({
      ...this.#deps.server,
      link: this.link,
      client,
      nodeId: this.nodeId,
      onClosed: (closed) => this.#connections.delete(closed),
    })
    this.#connections.add(connection)
    return connection.asClient()
  }
}

function usagesOf(
  containers: Iterable<ContainerInfo>,
  loadOf: SimulatedNodeDeps['loadOf'],
): ReplicaUsage[] {
  const usages: ReplicaUsage[] = []
  for (const { replicaId, workloadId } of containers) {
    const load = loadOf(workloadId)
    if (load === undefined) continue
    usages.push(create(ReplicaUsageSchema, { replicaId, cpuMillicores: Math.round(load) }))
  }
  return usages
}
