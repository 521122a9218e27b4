/** What this node tells the coordinator of itself: all of it with hello, what changes with heartbeats. */
import { create } from '@bufbuild/protobuf'
import {
  HeartbeatRequestSchema,
  HelloSchema,
  ReportResourcesResponseSchema,
  type HeartbeatRequest,
  type Hello,
  type NodeCapabilities,
  type NodeImages,
  type ReplicaUsage,
  type ReportResourcesResponse,
  type ResourceCapacity,
} from '@cloudless/api'
import { version, type Clock } from '@cloudless/base'
import type { Supervisor } from '../replica/supervisor.ts'
import { lessReserved, reservedBy } from '../resources/reservation.ts'
import { usageMessage, type UsageSample } from '../resources/usage-sampler.ts'
import { containerHealthOf } from '../service/container-views.ts'
import type { ProbeHealthBoard } from '../service/probe-health-board.ts'
import { conditionsOf } from './node-conditions.ts'

export interface NodeReportDeps {
  readonly clock: Clock
  readonly supervisor: Supervisor
  readonly sampler: { readonly newest: UsageSample | undefined }
  readonly probeHealth: ProbeHealthBoard
  readonly capabilities: { readonly current: NodeCapabilities }
  /** Another object when they have changed; undefined while they are not known. */
  readonly images: { readonly current: NodeImages | undefined }
  readonly nodeId: () => string
  /** Of its monotonic clock: one for all processes of one boot. */
  readonly sinceBootMs: () => number
  /** Of this machine. */
  readonly addresses: () => string[]
  /** What replicas use that was not told yet, as far as one heartbeat takes it. */
  readonly meter: { take(): ReplicaUsage[] }
}

export interface NodeReportOptions {
  readonly capacity: ResourceCapacity
  /** The capacity less what is kept for the system. */
  readonly allocatable: ResourceCapacity
  readonly bootId: string
  /** Changes with each start of the agent. */
  readonly instanceId: string
}

export class NodeReport {
  readonly #deps: NodeReportDeps
  readonly #options: NodeReportOptions
  #clockSkewMs = 0
  /** What the present session's coordinator knows. */
  #told: NodeCapabilities | undefined
  #toldImages: NodeImages | undefined

  constructor(deps: NodeReportDeps, options: NodeReportOptions) {
    this.#deps = deps
    this.#options = options
  }

  /** The coordinator's clock, Unix milliseconds, as an answer said. */
  heardTime(wallMs: number, roundTripMs: number): void {
    this.#clockSkewMs = this.#deps.clock.wallMs() - (wallMs + roundTripMs / 2)
  }

  /** What replicas may use: containers run by hand have their part already. */
  allocatable(): ResourceCapacity {
    const byHand = [...this.#deps.supervisor.replicas()].filter(({ options }) => options.adHoc)
    if (byHand.length === 0) return this.#options.allocatable
    return lessReserved(this.#options.allocatable, reservedBy(byHand.map(({ state }) => state)))
  }

  hello(): Hello {
    const { capabilities, images, nodeId, addresses, sinceBootMs, supervisor } = this.#deps
    const { capacity, bootId, instanceId } = this.#options
    this.#told = capabilities.current
    this.#toldImages = images.current
    return create(HelloSchema, {
      nodeId: nodeId(),
      agentVersion: version,
      capabilities: this.#told,
      capacity,
      allocatable: this.allocatable(),
      addresses: addresses(),
      replicas: supervisor.observations(),
      wallTimeMs: this.#wallTimeMs(),
      sinceBootMs: BigInt(Math.floor(sinceBootMs())),
      bootId,
      instanceId,
      runtimeReady: supervisor.runtimeReady,
      ...(this.#toldImages && { images: this.#toldImages }),
    })
  }

  heartbeat(roundTripMs: number): HeartbeatRequest {
    const { capabilities, images, meter, nodeId, probeHealth, sampler, supervisor } = this.#deps
    const used = sampler.newest?.used
    const news = capabilities.current === this.#told ? undefined : capabilities.current
    this.#told = capabilities.current
    const newImages = images.current === this.#toldImages ? undefined : images.current
    this.#toldImages = images.current
    return create(HeartbeatRequestSchema, {
      nodeId: nodeId(),
      allocatable: this.allocatable(),
      conditions: conditionsOf({
        capacity: this.#options.capacity,
        used,
        runtimeReady: supervisor.runtimeReady,
        clockSkewMs: this.#clockSkewMs,
      }),
      containerHealth: probeHealth
        .entries()
        .map(([containerId, health]) => containerHealthOf(containerId, health)),
      wallTimeMs: this.#wallTimeMs(),
      roundTripMs,
      replicaUsage: meter.take(),
      ...(news && { capabilities: news }),
      ...(newImages && { images: newImages }),
      ...(used && { usage: usageMessage(used) }),
    })
  }

  resources(): ReportResourcesResponse {
    const used = this.#deps.sampler.newest?.used
    return create(ReportResourcesResponseSchema, {
      capacity: this.#options.capacity,
      allocatable: this.allocatable(),
      ...(used && { usage: usageMessage(used) }),
    })
  }

  #wallTimeMs(): bigint {
    return BigInt(Math.round(this.#deps.clock.wallMs()))
  }
}
