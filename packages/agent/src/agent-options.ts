/** What an agent is made of and with. */
import type { NodeCapabilities, ResourceCapacity, Taint } from '@cloudless/api'
import type { Clock, Random } from '@cloudless/base'
import type { Runtime } from '@cloudless/runtime'
import type { Interceptor } from '@connectrpc/connect'
import type { AgentLogger } from './logger.ts'
import type { EnrolmentMaterial } from './membership/enrolment-material.ts'
import type { ReplicaMetrics } from './replica/replica-actor.ts'
import type { CapacityOverrides, SystemReserve } from './resources/capacity.ts'
import type { UsageSample } from './resources/usage-sampler.ts'
import type { ProbeHealthBoard } from './service/probe-health-board.ts'

export interface AgentDeps {
  readonly clock: Clock
  readonly random: Random
  readonly logger: AgentLogger
  readonly runtime: Runtime & { setPodCidr?(podCidr: string): void }
  readonly metrics: ReplicaMetrics
  readonly probeHealth: ProbeHealthBoard
  /** Another object when they have changed. */
  readonly capabilities: { readonly current: NodeCapabilities }
  /** Around every call of AgentService; for logs and metrics. */
  readonly interceptors?: readonly Interceptor[]
  readonly onSample?: (sample: UsageSample) => void
}

export interface AgentOptions {
  readonly dataDirectory: string
  readonly nodeName: string
  readonly region: string
  readonly zone: string
  readonly labels: Readonly<Record<string, string>>
  readonly taints: readonly Taint[]
  readonly joinToken: string
  /** What an enrolment with the token needs, when it is already being prepared. */
  readonly enrolmentMaterial?: Promise<EnrolmentMaterial>
  /** "host:port"; empty: those of the token or of the membership. */
  readonly coordinators: readonly string[]
  readonly trustDomain: string
  readonly capacity: ResourceCapacity
  readonly overrides: CapacityOverrides
  readonly reserve: SystemReserve
  readonly bootId: string
  readonly bridgeName: string
  readonly probesEnabled: boolean
  readonly startConcurrency?: number
  readonly heartbeatMsMax?: number
  readonly reversedIdleMs?: number
  /** How long a start without a coordinator waits before it starts what is recorded; 3,000 when not given. */
  readonly sessionWaitMs?: number
}
