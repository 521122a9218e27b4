/** For the simulation: the control plane and what users ask of it, to be run on a virtual clock. */
import { loadConfiguration } from '@cloudless/base'
import { optionsOf, type CoordinatorOptions } from './process/options.ts'
import { coordinatorSettings } from './process/settings.ts'

export { Election } from './leadership/election.ts'
export { fencedStore } from './leadership/fenced-store.ts'
export type { Term } from './leadership/term.ts'
export { nodeHandlers } from './api/node-handlers.ts'
export { workloadHandlers } from './api/workload-handlers.ts'
export type { Reporter } from './controllers/reporter.ts'
export {
  startControlPlane,
  type ControlPlane,
  type ControlPlaneDeps,
  type ControlPlaneOptions,
} from './process/control-plane.ts'
export {
  ClusterState,
  deleteRecord,
  putRecord,
  unchanged,
  type Held,
  type RecordChange,
} from './state/cluster-state.ts'
export { keyOf, nodeNameKey, nodeSubnetKey, RecordDecoder } from './state/records.ts'

/** As the program would have them with these flags, such as ["--membership-heartbeat-interval", "2s"]. */
export function coordinatorOptions(flags: readonly string[]): CoordinatorOptions {
  const args = ['--advertise-addr', 'coordinator:8080', ...flags]
  const result = loadConfiguration(coordinatorSettings, { args, env: {}, readFile: () => ({}) })
  if (result.kind === 'ok') return optionsOf(result.values)
  throw new Error(JSON.stringify(result))
}
