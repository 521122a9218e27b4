/**
 * A cluster and everything around it in one process: the coordinator with its disk, the nodes, the links between them, and
 * the one time they all live in. Nothing happens in it but what is asked for: see chaos/ for who asks.
 */
import { create } from '@bufbuild/protobuf'
import {
  NodePhase,
  NodeRecordSchema,
  NodeSchema,
  NodeStatusSchema,
  ResourceCapacitySchema,
  type AgentMessage,
  type CoordinatorMessage,
  type NodeRecord,
  type ResourceCapacity,
} from '@cloudless/api'
import type { AgentLogger } from '@cloudless/agent/simulation'
import { assert, randomId, seededRandom, type Random } from '@cloudless/base'
import {
  coordinatorOptions,
  nodeNameKey,
  nodeSubnetKey,
  putRecord,
  type Reporter,
} from '@cloudless/coordinator/simulation'
import type { Canary } from './canaries.ts'
import { Link, type LinkQuality } from './link.ts'
import { forkRandom } from './random-streams.ts'
import { drive, type Settling } from './settle.ts'
import { SimulatedCoordinator, type RunningCoordinator } from './simulated-coordinator.ts'
import { SimulatedDisk, type DiskQuality } from './simulated-disk.ts'
import { SimulatedNode } from './simulated-node.ts'
import { newRecordDisk } from './simulated-record.ts'
import { Trace } from './trace.ts'
import { VirtualClock } from './virtual-clock.ts'

export interface WorldOptions {
  readonly seed: number
  /** Of the coordinator's program, as an operator would give them. */
  readonly flags?: readonly string[]
  readonly disk?: DiskQuality
  /** Lines of the trace; none are made without it. */
  readonly write?: (line: string) => void
  readonly settling?: Settling
  /** A bug to be found. */
  readonly canary?: Canary | undefined
}

/** Who is told of what happens; see checkers/. */
export interface WorldListener {
  /** A process of the coordinator has read its state. */
  coordinatorStarted?(running: RunningCoordinator): void
  /** A container began or ceased to run on a node. */
  containerChanged?(nodeId: string, replicaId: string, isRunning: boolean): void
  /** A controller told the outside of something. */
  said?(what: keyof Reporter, args: readonly unknown[]): void
}

export interface NodeFacts {
  readonly name: string
  readonly zone?: string
  readonly cpuMillicores?: number
  readonly memoryBytes?: bigint
  readonly link?: LinkQuality
  readonly disk?: DiskQuality
}

const lanQuality: LinkQuality = { delayMs: 0.5, jitterMs: 1, lossShare: 0 }
const solidDisk: DiskQuality = { syncMsMin: 0.5, syncMsMax: 4 }

export class World {
  readonly clock = new VirtualClock()
  readonly random: Random
  readonly trace: Trace
  readonly coordinator: SimulatedCoordinator
  readonly nodes = new Map<string, SimulatedNode>()
  /** What the clients of a workload ask of all its replicas together, by its id, millicores; they share it evenly. */
  readonly loads = new Map<string, number>()
  readonly #listeners: WorldListener[] = []
  readonly #settling: Settling
  #subnets = 0
  #events = 0

  constructor(options: WorldOptions) {
    this.random = seededRandom(options.seed)
    this.#settling = options.settling ?? 'quick'
    const { write, canary } = options
    this.trace = new Trace(() => this.clock.monotonicMs(), write ? { write } : {})
    const disk = new SimulatedDisk(forkRandom(this.random), options.disk ?? solidDisk)
    disk.losesAcknowledgedWrites = canary?.losesAcknowledgedWrites ?? false
    disk.onCommitted = ({ revision, changes }) => {
      for (const change of changes) {
        if (change.kind === 'delete') this.trace.note(`delete ${change.key}`, revision)
        else this.trace.noteBytes(change.entry.key, change.entry.value)
      }
    }
    this.coordinator = new SimulatedCoordinator(
      {
        world: this.clock,
        random: forkRandom(this.random),
        disk,
        report: this.#reporter(),
        canary,
        onStarted: (running) => {
          this.trace.say('coordinator: runs')
          for (const listener of this.#listeners) listener.coordinatorStarted?.(running)
        },
        onDied: (isPowerLoss) => {
          for (const node of this.nodes.values()) node.serverDied(isPowerLoss)
        },
      },
      coordinatorOptions([...(options.flags ?? []), ...(canary?.flags ?? [])]),
    )
  }

  /** Events that have happened. */
  get eventCount(): number {
    return this.#events
  }

  get nowMs(): number {
    return this.clock.monotonicMs()
  }

  listen(listener: WorldListener): void {
    this.#listeners.push(listener)
  }

  /** Lets time pass; `afterEach` is called after every event and what followed from it. */
  async run(durationMs: number, afterEach: () => void = () => undefined): Promise<void> {
    const untilMs = this.clock.monotonicMs() + durationMs
    let isFirst = true
    await drive(() => {
      if (!isFirst) afterEach()
      isFirst = false
      const dueMs = this.clock.nextDueMs()
      if (dueMs === undefined || dueMs > untilMs) return false
      this.#events++
      this.clock.fireNext()
      return true
    }, this.#settling)
    this.clock.goTo(untilMs)
  }

  /** Runs until it holds; false when it did not within the time. */
  async until(holds: () => boolean, withinMs: number, stepMs = 100): Promise<boolean> {
    const untilMs = this.nowMs + withinMs
    while (!holds()) {
      if (this.nowMs >= untilMs) return false
      await this.run(Math.min(stepMs, untilMs - this.nowMs))
    }
    return true
  }

  /** Its record is made as an enrolment makes it, and its agent starts. Once is enough, more often is harmless. */
  async join(facts: NodeFacts): Promise<SimulatedNode> {
    const { running } = this.coordinator
    assert(running !== undefined, 'somebody must be there to join')
    const { state } = running
    const { name } = facts
    const member = state.findNode(name)
    if (member) return this.#nodeOf(facts, member.record)
    const nodeId = `node-${randomId(this.random, 12)}`
    const capacity = capacityOf(facts)
    const record = memberRecord(facts, {
      ...{ nodeId, capacity, podCidr: `10.244.${++this.#subnets}.0/24` },
      nowMs: running.clock.wallMs(),
    })
    const claim = new TextEncoder().encode(nodeId)
    const { podCidr } = record.node!
    await state.write({
      preconditions: [{ kind: 'absent', key: nodeNameKey(name) }],
      writes: [
        putRecord('node', nodeId, record),
        { kind: 'put', key: nodeNameKey(name), value: claim },
        { kind: 'put', key: nodeSubnetKey(podCidr), value: claim },
      ],
    })
    return this.#nodeOf(facts, record)
  }

  /** Its machine, made when it is not there yet: whoever made the record may not have been told. */
  #nodeOf(facts: NodeFacts, record: NodeRecord): SimulatedNode {
    const { id, name } = record.node!
    const present = this.nodes.get(id)
    if (present) return present
    const node = this.#makeNode(facts, id, capacityOf(facts))
    this.nodes.set(id, node)
    this.trace.say(`${name}: joined as ${id}`)
    node.startAgent()
    return node
  }

  #makeNode(facts: NodeFacts, nodeId: string, capacity: ResourceCapacity): SimulatedNode {
    const { name, link = lanQuality, disk = solidDisk } = facts
    return new SimulatedNode(
      {
        world: this.clock,
        random: forkRandom(this.random),
        link: new Link(this.clock, forkRandom(this.random), link),
        disk: newRecordDisk(disk.syncMsMin, disk.syncMsMax),
        logger: this.#loggerOf(name),
        server: {
          serverMachine: () => this.coordinator.machine,
          listening: () => this.coordinator.running,
          onMessage: (from, message) => this.#heard(from, message),
        },
        loadOf: (workloadId) => this.#loadOfEach(workloadId),
        onRunning: (replicaId, isRunning) => {
          this.trace.note(`${nodeId} ${replicaId}`, Number(isRunning))
          this.trace.tell(() => `${name}: ${replicaId} ${isRunning ? 'runs' : 'runs no more'}`)
          for (const listener of this.#listeners) {
            listener.containerChanged?.(nodeId, replicaId, isRunning)
          }
        },
      },
      { nodeId, name, capacity, allocatable: capacity },
    )
  }

  /** Of one of its containers, millicores; undefined: nobody asks anything of them. */
  #loadOfEach(workloadId: string): number | undefined {
    const load = this.loads.get(workloadId)
    if (load === undefined) return undefined
    let containers = 0
    for (const node of this.nodes.values()) {
      for (const info of node.containers.running()) if (info.workloadId === workloadId) containers++
    }
    return load / containers
  }

  #heard(nodeId: string, { message }: AgentMessage | CoordinatorMessage): void {
    this.trace.note(nodeId, message.case?.length ?? 0)
  }

  #loggerOf(name: string): AgentLogger {
    const say = (_: object, message: string): void => this.trace.tell(() => `${name}: ${message}`)
    return { debug: () => undefined, info: say, warn: say, error: say }
  }

  /** Whatever there is to report, also what later versions add. */
  #reporter(): Reporter {
    return new Proxy({} as Reporter, {
      get:
        (_, what: keyof Reporter) =>
        (...args: unknown[]) => {
          this.trace.tell(() => `coordinator: ${what} ${args.map(shortly).join(' ')}`)
          for (const listener of this.#listeners) listener.said?.(what, args)
        },
    })
  }
}

function capacityOf({
  cpuMillicores = 4_000,
  memoryBytes = 8n << 30n,
}: NodeFacts): ResourceCapacity {
  return create(ResourceCapacitySchema, {
    ...{ cpuMillicores, memoryBytes, storageBytes: 64n << 30n, bandwidthBps: 1_000_000_000n },
  })
}

interface Membership {
  readonly nodeId: string
  readonly capacity: ResourceCapacity
  readonly podCidr: string
  readonly nowMs: number
}

function memberRecord(facts: NodeFacts, membership: Membership): NodeRecord {
  const { nodeId, capacity, podCidr, nowMs } = membership
  const node = create(NodeSchema, {
    ...{ id: nodeId, name: facts.name, zone: facts.zone ?? '', podCidr },
    ...{ capacity, allocatable: capacity, reliabilityScore: 1, createdAtMs: BigInt(nowMs) },
    status: create(NodeStatusSchema, {
      phase: NodePhase.ENROLLING,
      message: 'enrolled; its agent has not connected yet',
      lastTransitionMs: BigInt(nowMs),
    }),
  })
  return create(NodeRecordSchema, { node })
}

/** What a person needs of an argument: which record it is of, or what was said. */
function shortly(argument: unknown): string {
  if (typeof argument !== 'object' || argument === null) return String(argument)
  if (argument instanceof Error) return argument.message
  const record = argument as Record<string, { readonly id?: string; readonly name?: string }>
  return record['status']?.id ?? record['node']?.name ?? record['workload']?.name ?? '...'
}
