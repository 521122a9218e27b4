/**
 * The agent, put together: membership, supervisor, AgentService and the sampler around one runtime.
 * Everything is handed in, so that tests run it against a runtime of their own.
 */
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import type { Node, ResourceCapacity, Welcome } from '@cloudless/api'
import { CloudlessError, randomId, version } from '@cloudless/base'
import { tlsClientOptions, type LoadedCredentials } from '@cloudless/identity'
import { connectNodeAdapter } from '@connectrpc/connect-node'
import type { AgentDeps, AgentOptions } from './agent-options.ts'
import { enrol } from './membership/enrolment.ts'
import { Membership, type MembershipEnd } from './membership/membership.ts'
import { openNodeIdentity, type NodeFacts, type NodeIdentity } from './membership/node-identity.ts'
import { NodeReport } from './membership/node-report.ts'
import { openAssignmentRecord } from './replica/assignment-record.ts'
import { SilenceWatch } from './replica/silence-watch.ts'
import { Supervisor } from './replica/supervisor.ts'
import { allocatableOf } from './resources/capacity.ts'
import { detectAddresses } from './resources/detect.ts'
import { ImageWatch } from './resources/image-watch.ts'
import { planStorageLimits } from './resources/storage-limits.ts'
import { UsageSampler, type UsageSample } from './resources/usage-sampler.ts'
import { ReplicaMeter } from './workload-metrics/replica-meter.ts'
import { agentServiceRoutes, errorInterceptor } from './service/agent-service.ts'
import {
  ReversedConnections,
  reversedProtocol,
  type Http2Handler,
} from './service/reversed-connections.ts'

const evictionMsMax = 60_000
const goodbyeBackMs = 60_000

export class Agent {
  readonly #deps: AgentDeps
  readonly #options: AgentOptions
  readonly #identity: NodeIdentity
  readonly #allocatable: ResourceCapacity
  readonly #report: NodeReport
  readonly #starting = new AbortController()
  readonly #enrolled = Promise.withResolvers<void>()
  readonly supervisor: Supervisor
  readonly #sampler: UsageSampler
  readonly #meter: ReplicaMeter
  readonly #images: ImageWatch
  readonly #reversed: ReversedConnections
  /** Serves AgentService; for a listener of its own as well. */
  readonly handler: Http2Handler
  #membership: Membership | undefined
  #credentials: LoadedCredentials | undefined
  #silence: SilenceWatch | undefined
  #cancelRelease: () => void = () => {}

  constructor(deps: AgentDeps, options: AgentOptions) {
    const { clock, logger, random, runtime, metrics } = deps
    const { dataDirectory, bootId, probesEnabled, startConcurrency } = options
    mkdirSync(dataDirectory, { recursive: true, mode: 0o700 })
    this.#deps = deps
    this.#options = options
    this.#identity = openNodeIdentity(random, dataDirectory)
    this.#allocatable = allocatableOf(options.capacity, options.reserve)
    this.supervisor = new Supervisor(
      {
        clock,
        runtime,
        logger,
        metrics,
        record: openAssignmentRecord(join(dataDirectory, 'assignments')),
      },
      {
        dataDirectory,
        bootId,
        probesEnabled,
        ...(startConcurrency === undefined ? {} : { startConcurrency }),
      },
    )
    this.#sampler = new UsageSampler(
      { clock, logger, runtime },
      {
        dataDirectory,
        capacity: options.capacity,
        overrides: options.overrides,
        onSample: (sample) => this.#sampled(sample),
      },
    )
    this.#meter = new ReplicaMeter({ clock, logger, supervisor: this.supervisor })
    this.#images = new ImageWatch({ clock, logger, runtime })
    const { capacity, bridgeName } = options
    const nodeId = (): string => this.nodeId
    this.#report = new NodeReport(
      {
        ...deps,
        supervisor: this.supervisor,
        sampler: this.#sampler,
        images: this.#images,
        meter: this.#meter,
        nodeId,
        sinceBootMs: () => Number(process.hrtime.bigint() / 1_000_000n),
        // The containers' own bridge leads nowhere.
        addresses: () => detectAddresses([bridgeName]),
      },
      {
        capacity,
        allocatable: this.#allocatable,
        bootId,
        instanceId: randomId(random, 16),
      },
    )
    this.handler = connectNodeAdapter({
      routes: agentServiceRoutes({
        clock,
        runtime,
        supervisor: this.supervisor,
        nodeId,
        resources: () => this.#report.resources(),
        // Told at once, so that nothing else is placed on what was just given away.
        onReservation: () => this.#membership?.heartbeatNow(),
      }),
      interceptors: [...(deps.interceptors ?? []), errorInterceptor],
    })
    this.#reversed = new ReversedConnections(
      { clock, logger, handler: this.handler, tls: () => this.#reversedTls() },
      options.reversedIdleMs === undefined ? {} : { idleMs: options.reversedIdleMs },
    )
  }

  /** Empty before the enrolment. */
  get nodeId(): string {
    return this.#credentials?.id ?? ''
  }

  /** Resolves when there are credentials. */
  get enrolled(): Promise<void> {
    return this.#enrolled.promise
  }

  /** "host:port" of those that are known; none before the enrolment. */
  get coordinators(): readonly string[] {
    return this.#membership?.addresses ?? []
  }

  get connected(): boolean {
    return this.#membership?.connected ?? false
  }

  /** The newest; undefined before the enrolment. */
  get credentials(): LoadedCredentials | undefined {
    return this.#membership?.credentials ?? this.#credentials
  }

  /** Runs until it is stopped or its membership ends. Rejects with a refusal that somebody has to act on. */
  async run(): Promise<MembershipEnd> {
    const { clock, logger, runtime } = this.#deps
    this.#credentials = this.#identity.credentials()
    let facts = this.#identity.facts()
    if (this.#credentials === undefined) {
      const enrolled = await this.#enrol()
      if (enrolled === undefined) return { kind: 'left' }
      facts = enrolled
    }
    this.#enrolled.resolve()
    if (facts !== undefined && facts.podCidr !== '') runtime.setPodCidr?.(facts.podCidr)
    await this.supervisor.start()
    this.#silence = new SilenceWatch({
      clock,
      logger,
      replicas: () => this.supervisor.assigned(),
      suspend: (replicaId, message) => this.supervisor.suspend(replicaId, message),
    })
    this.#sampler.start()
    this.#images.start()
    if (this.#starting.signal.aborted) return { kind: 'left' }
    const { coordinators } = this.#options
    const addresses = coordinators.length > 0 ? coordinators : (facts?.coordinators ?? [])
    this.#membership = this.#join(this.#credentials!, addresses)
    this.#membership.addAddresses(facts?.coordinators ?? [])
    this.#cancelRelease = clock.after(this.#options.sessionWaitMs ?? 3_000, () => {
      if (this.connected) return
      logger.info({}, 'no coordinator answers: starting what is recorded')
      this.supervisor.release()
    })
    const end = await this.#membership.run()
    if (end.kind === 'evicted') await this.#leaveCluster(end)
    return end
  }

  /** Says goodbye; containers stay. `run` resolves, then everything of the agent's own is closed. */
  async stop(reason: string): Promise<void> {
    this.#starting.abort()
    this.#membership?.leave(goodbyeBackMs, reason)
    await this.close()
  }

  async close(): Promise<void> {
    this.#cancelRelease()
    this.#silence?.close()
    this.#sampler.close()
    this.#meter.close()
    this.#images.close()
    this.#reversed.close()
    await this.supervisor.close()
  }

  async #enrol(): Promise<NodeFacts | undefined> {
    const { clock, random, logger } = this.#deps
    const { joinToken, enrolmentMaterial, trustDomain, coordinators, ...node } = this.#options
    try {
      const enrolled = await enrol(
        { clock, random, logger, identity: this.#identity },
        {
          token: joinToken,
          ...(enrolmentMaterial === undefined ? {} : { material: enrolmentMaterial }),
          trustDomain,
          addresses: coordinators,
          signal: this.#starting.signal,
          request: {
            nodeName: node.nodeName,
            region: node.region,
            zone: node.zone,
            capabilities: this.#deps.capabilities.current,
            capacity: node.capacity,
            allocatable: this.#allocatable,
            labels: { ...node.labels },
            taints: [...node.taints],
            agentVersion: version,
          },
        },
      )
      this.#credentials = enrolled.credentials
      const nodeId = enrolled.credentials.id
      logger.info({ nodeId }, `enrolled as ${enrolled.node?.name ?? node.nodeName} (${nodeId})`)
      return this.#keepFacts(enrolled.node, enrolled.addresses)
    } catch (reason) {
      if (this.#starting.signal.aborted) return undefined
      throw reason
    }
  }

  #join(credentials: LoadedCredentials, addresses: readonly string[]): Membership {
    const { clock, random, logger } = this.#deps
    const { trustDomain, heartbeatMsMax } = this.#options
    return new Membership(
      {
        clock,
        random,
        logger,
        identity: this.#identity,
        ports: {
          hello: () => this.#report.hello(),
          heartbeat: (roundTripMs) => this.#report.heartbeat(roundTripMs),
          apply: async (update) => {
            const applied = await this.supervisor.apply(update)
            // The coordinator has spoken: what is left was run by hand.
            if (update.full) this.supervisor.release()
            return applied
          },
          listen: (listener) => this.supervisor.listen(listener),
          welcomed: (welcome) => this.#welcomed(welcome),
          coordinators: (addresses) => this.#keepFacts(undefined, addresses),
          coordinatorTime: (wallMs, roundTripMs) => {
            this.#silence?.heard()
            this.#report.heardTime(wallMs, roundTripMs)
          },
          dialBack: (connectionId) => this.#reversed.dial(this.#membership!.address, connectionId),
        },
      },
      {
        trustDomain,
        credentials,
        addresses,
        ...(heartbeatMsMax === undefined ? {} : { heartbeatMsMax }),
      },
    )
  }

  #welcomed({ node, coordinators }: Welcome): void {
    if (node !== undefined && node.podCidr !== '') this.#deps.runtime.setPodCidr?.(node.podCidr)
    const known = coordinators.length > 0 ? coordinators : [this.#membership!.address]
    this.#keepFacts(node, known)
  }

  /** What the next start must know should no coordinator answer. */
  #keepFacts(node: Node | undefined, coordinators: readonly string[]): NodeFacts {
    const facts = {
      nodeId: this.nodeId,
      nodeName: node?.name ?? this.#options.nodeName,
      podCidr: node?.podCidr ?? this.#identity.facts()?.podCidr ?? '',
      coordinators,
    }
    try {
      this.#identity.saveFacts(facts)
    } catch (reason) {
      const { code, message } = CloudlessError.from(reason)
      this.#deps.logger.error({ code }, `cannot keep what the coordinator said: ${message}`)
    }
    return facts
  }

  // --- what happens here

  #sampled(sample: UsageSample): void {
    for (const { replicaId, message } of planStorageLimits(
      [...this.supervisor.replicas()].map((actor) => actor.state),
      sample.containers,
    )) {
      this.supervisor.find(replicaId)?.send({ kind: 'storage-exceeded', message })
    }
    this.#meter.sampled(sample.containers)
    this.#deps.onSample?.(sample)
  }

  #reversedTls() {
    const credentials = this.credentials!
    return tlsClientOptions({
      caPem: credentials.caPem,
      trustDomain: this.#options.trustDomain,
      serverType: 'controller',
      credentials,
      alpnProtocols: [reversedProtocol],
    })
  }

  /**
   * Removed: nothing of the cluster stays. Superseded by an agent of this machine: that one has the containers; by one
   * of another machine, as after the disk was copied: what runs here would run twice.
   */
  async #leaveCluster(end: Extract<MembershipEnd, { kind: 'evicted' }>): Promise<void> {
    const removed = end.reason === 'removed'
    if (!removed && !end.elsewhere) return
    const why = removed ? 'this node was removed from the cluster' : end.message
    this.#deps.logger.warn({}, `${why}: stopping its containers`)
    const deadline = new AbortController()
    const cancel = this.#deps.clock.after(evictionMsMax, () => deadline.abort())
    try {
      await this.supervisor.stopAll(deadline.signal)
    } catch (reason_) {
      const { code, message } = CloudlessError.from(reason_)
      this.#deps.logger.error({ code }, `not every container could be stopped: ${message}`)
    } finally {
      cancel()
    }
    if (removed) this.#identity.setAside()
  }
}
