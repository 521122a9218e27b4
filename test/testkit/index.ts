export { callApi, type ApiAnswer } from './api-call.ts'
export { createApiClient, type ApiClient } from './api-client.ts'
export { createAgentOn, type AgentOnHost, type AgentOptions } from './agent-on-host.ts'
export {
  startCluster,
  type AgentSpec,
  type Cluster,
  type ClusterImage,
  type ClusterOptions,
  type NodeView,
} from './cluster.ts'
export { runChaos, sayChaos, type ChaosOptions, type ChaosReport } from './chaos-run.ts'
export { createChurn, type Churn, type ChurnOptions, type Fault } from './churn.ts'
export { applyChurned, churnedServices, sayDips } from './churned-services.ts'
export { findProblems, waitUntilSettled, type Expectations } from './cluster-checker.ts'
export { mustRun, runCommand, type CommandOptions, type CommandResult } from './command.ts'
export {
  createCoordinator,
  writeCliConfig,
  type CoordinatorOptions,
  type CoordinatorProcess,
} from './coordinator-process.ts'
export { createCoordinatorOn, type CoordinatorOnHost } from './coordinator-on-host.ts'
export { startCoordinators, type Coordinators, type CoordinatorsOptions } from './coordinators.ts'
export { drawFaults, type CoordinatorFault, type FaultKind } from './coordinator-faults.ts'
export { createCtl, type Ctl } from './ctl.ts'
export { containerdSocket } from './host-containerd.ts'
export {
  watchFloor,
  type Dip,
  type DropCause,
  type FloorOptions,
  type FloorWatch,
} from './floor-watch.ts'
export {
  createHost,
  disksInUse,
  killHostProcesses,
  type Host,
  type HostOptions,
  type TaskOptions,
} from './host.ts'
export type { HostLink } from './host-link.ts'
export { buildImage, busyboxFiles, type BuiltImage, type ImageDescription } from './image.ts'
export { createNetwork, type Network, type NetworkOptions } from './network.ts'
export { closeWayOut, openWayOut } from './outside.ts'
export {
  argumentsOf,
  identifyProcess,
  isAlive,
  killAndWait,
  listPids,
  signalProcess,
  type ProcessIdentity,
} from './processes.ts'
export {
  startProber,
  type FailedRequest,
  type ProbeReport,
  type Prober,
  type ProberOptions,
} from './prober.ts'
export {
  applyProbed,
  isWhole,
  proberSteps,
  waitUntilWhole,
  type ProbedService,
  type ProberStep,
} from './prober-steps.ts'
export { checkout, cleanEnvironment, coordinatorProgram, ctlProgram } from './programs.ts'
export { pushImage, startRegistry, type LocalRegistry } from './registry.ts'
export { buildSimpleWeb, simpleWebImage } from './simple-web.ts'
export { isServing, watchServing, type ServingSample, type ServingWatch } from './serving-watch.ts'
export { createSmallDisk, type SmallDisk } from './small-disk.ts'
export { steadyWeb, steadyWebImage, steadyWebPort } from './steady-web.ts'
export { createStrikes, type Strikes, type StruckDisk } from './strike-coordinators.ts'
export { findLeftovers, sweep } from './sweep.ts'
export { findSharedTerms } from './terms.ts'
export { waitFor, type WaitOptions } from './wait-for.ts'
export {
  applyWorkload,
  healthzOf,
  manifestOf,
  replicasOf,
  runningContainers,
  waitForReady,
  waitForReplicas,
  type ReplicaView,
  type WorkloadWish,
} from './workloads.ts'
