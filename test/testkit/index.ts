export { mustRun, runCommand, type CommandOptions, type CommandResult } from './command.ts'
export { containerdSocket } from './host-containerd.ts'
export { createHost, type Host, type HostOptions, type TaskOptions } from './host.ts'
export type { HostLink } from './host-link.ts'
export { createNetwork, type Network, type NetworkOptions } from './network.ts'
export {
  argumentsOf,
  identifyProcess,
  isAlive,
  killAndWait,
  listPids,
  signalProcess,
  type ProcessIdentity,
} from './processes.ts'
export { findLeftovers, sweep } from './sweep.ts'
export { waitFor, type WaitOptions } from './wait-for.ts'
