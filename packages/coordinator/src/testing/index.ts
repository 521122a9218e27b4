export { openControlPlane, type RunningControlPlane } from './control-plane.ts'
export { nodeRecord, workloadRecord } from './records.ts'
export { deleteRecord, putRecord, type ClusterState } from '../state/cluster-state.ts'
