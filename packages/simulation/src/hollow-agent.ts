/**
 * One run of the agent's process: its membership, session, supervisor and probes as they are in production, over a simulated
 * runtime, disk and network. What stands here is the order in which agent.ts starts them.
 */
import { create } from '@bufbuild/protobuf'
import {
  Membership,
  NodeReport,
  ProbeHealthBoard,
  Supervisor,
  type AgentLogger,
  type CoordinatorConnection,
  type MembershipEnd,
  type NodeIdentity,
  type ReplicaMetrics,
  type Runtime,
} from '@cloudless/agent/simulation'
import { NodeCapabilitiesSchema, type ReplicaUsage, type ResourceCapacity } from '@cloudless/api'
import { randomId, type Random } from '@cloudless/base'
import type { ProcessClock } from './process-clock.ts'
import { openSimulatedRecord, type RecordDisk } from './simulated-record.ts'

export interface HollowAgentDeps {
  readonly clock: ProcessClock
  readonly random: Random
  readonly runtime: Runtime
  readonly disk: RecordDisk
  readonly dial: () => CoordinatorConnection
  /** What its replicas use. */
  readonly usages: () => ReplicaUsage[]
  readonly logger: AgentLogger
}

export interface HollowAgentOptions {
  readonly nodeId: string
  readonly bootId: string
  readonly capacity: ResourceCapacity
  readonly allocatable: ResourceCapacity
}

const sessionWaitMs = 3_000
const evictionMsMax = 60_000
const goodbyeBackMs = 60_000
const capabilities = create(NodeCapabilitiesSchema, { architecture: 'amd64', os: 'linux' })

export class HollowAgent {
  readonly supervisor: Supervisor
  readonly clock: ProcessClock
  readonly #deps: HollowAgentDeps
  readonly #membership: Membership
  #cancelRelease: () => void = () => undefined

  constructor(deps: HollowAgentDeps, options: HollowAgentOptions) {
    const { clock, random, runtime, logger, disk, dial } = deps
    const probeHealth = new ProbeHealthBoard(clock)
    this.#deps = deps
    this.clock = clock
    this.supervisor = new Supervisor(
      {
        ...{ clock, runtime, logger },
        metrics: metricsOf(probeHealth),
        record: openSimulatedRecord({ clock, random }, disk),
        removeLog: async () => undefined,
      },
      { dataDirectory: '/var/lib/cloudless', bootId: options.bootId },
    )
    const report = new NodeReport(
      {
        ...{ clock, supervisor: this.supervisor, probeHealth },
        sampler: { newest: undefined },
        capabilities: { current: capabilities },
        images: { current: undefined },
        nodeId: () => options.nodeId,
        sinceBootMs: () => clock.monotonicMs(),
        addresses: () => ['192.168.1.7'],
        meter: { take: deps.usages },
      },
      { ...options, instanceId: randomId(random, 16) },
    )
    this.#membership = new Membership(
      {
        ...{ clock, random, logger },
        identity: {} as NodeIdentity, // Its certificate never runs out.
        connect: dial,
        ports: {
          hello: () => report.hello(),
          heartbeat: (roundTripMs) => report.heartbeat(roundTripMs),
          apply: async (update) => {
            const applied = await this.supervisor.apply(update)
            if (update.full) this.supervisor.release()
            return applied
          },
          listen: (listener) => this.supervisor.listen(listener),
          welcomed: () => undefined,
          coordinatorTime: (wallMs, roundTripMs) => report.heardTime(wallMs, roundTripMs),
          coordinators: () => undefined,
          dialBack: () => undefined,
        },
      },
      {
        trustDomain: 'cloudless',
        addresses: ['coordinator:8080'],
        credentials: {
          ...{ keyPem: '', certificatePem: '', caPem: '', serial: '1', fingerprint: '' },
          ...{ id: options.nodeId, notBeforeMs: 0, notAfterMs: Number.MAX_SAFE_INTEGER },
          spiffeId: { trustDomain: 'cloudless', type: 'node', id: options.nodeId },
        } as unknown as ConstructorParameters<typeof Membership>[1]['credentials'],
      },
    )
  }

  get connected(): boolean {
    return this.#membership.connected
  }

  /** Resolves when it was stopped or its membership has ended. */
  async run(): Promise<MembershipEnd> {
    const { clock } = this.#deps
    await this.supervisor.start()
    this.#cancelRelease = clock.after(sessionWaitMs, () => {
      if (!this.connected) this.supervisor.release()
    })
    const end = await this.#membership.run()
    if (end.kind === 'evicted' && (end.reason === 'removed' || end.elsewhere)) {
      await this.#leaveCluster()
    }
    return end
  }

  /** As SIGTERM: says goodbye; containers stay. */
  async stop(): Promise<void> {
    this.#membership.leave(goodbyeBackMs, 'stopped')
    this.#cancelRelease()
    await this.supervisor.close()
  }

  async #leaveCluster(): Promise<void> {
    const deadline = new AbortController()
    const cancel = this.#deps.clock.after(evictionMsMax, () => deadline.abort())
    await this.supervisor.stopAll(deadline.signal).catch(() => undefined) // What is left stays.
    cancel()
  }
}

function metricsOf(board: ProbeHealthBoard): ReplicaMetrics {
  return {
    probed: (report) => board.note(report),
    restarted: () => undefined,
    restartRefused: () => undefined,
    operation: () => undefined,
    forgotten: (containerId) => board.forget(containerId),
  }
}
