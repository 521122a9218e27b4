/**
 * For the simulation: the parts of the agent that decide, to be run on a virtual clock over a virtual disk, network and
 * container runtime.
 */
export type { CoordinatorConnection } from './membership/coordinator-connection.ts'
export { Membership, type MembershipEnd } from './membership/membership.ts'
export type { NodeIdentity } from './membership/node-identity.ts'
export { NodeReport } from './membership/node-report.ts'
export {
  decodeRecord,
  encodeRecord,
  type AssignmentRecord,
  type LoadedRecords,
  type ReplicaRecord as RecordedReplica,
} from './replica/assignment-record.ts'
export type { ReplicaMetrics } from './replica/replica-actor.ts'
export { SilenceWatch } from './replica/silence-watch.ts'
export { Supervisor } from './replica/supervisor.ts'
export { ProbeHealthBoard } from './service/probe-health-board.ts'
export type { AgentLogger } from './logger.ts'
export type {
  ContainerExit,
  ContainerInfo,
  ContainerRequest,
  ExecSession,
  Runtime,
  RuntimeEvent,
} from '@cloudless/runtime'
