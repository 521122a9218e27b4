/** Membership and the controllers: what follows the nodes and brings the cluster to what it should be. */
import { NodePhase, type AutoscalingStatus, type HeartbeatRequest } from '@cloudless/api'
import type { Clock, Random } from '@cloudless/base'
import { reliabilityOf, type NodeViewDeps } from '../api/node-view.ts'
import { AutoscaleController } from '../controllers/autoscale-controller.ts'
import { MassLossController } from '../controllers/mass-loss-controller.ts'
import { CronController } from '../controllers/cron-controller.ts'
import { DaemonController } from '../controllers/daemon-controller.ts'
import { JobController } from '../controllers/job-controller.ts'
import { NodeController } from '../controllers/node-controller.ts'
import { NodeHistories } from '../controllers/node-histories.ts'
import { PlacementController } from '../controllers/placement-controller.ts'
import { PreemptionController } from '../controllers/preemption.ts'
import { RebalanceController } from '../controllers/rebalance-controller.ts'
import { isOfMove } from '../controllers/rebalance-moves.ts'
import type { Reporter } from '../controllers/reporter.ts'
import { RestoredBehind } from '../controllers/restored-behind.ts'
import { SchedulerView } from '../controllers/scheduler-view.ts'
import { WorkloadController } from '../controllers/workload-controller.ts'
import { coordinatorAddresses } from '../membership/coordinator-addresses.ts'
import { LiveNodes } from '../membership/live-nodes.ts'
import type { Load } from '../membership/loop-load.ts'
import { ObservationWriter } from '../membership/observation-writer.ts'
import { ReplicaUsages } from '../membership/replica-usages.ts'
import { Sessions } from '../membership/sessions.ts'
import type { ClusterState } from '../state/cluster-state.ts'
import type { CoordinatorOptions } from './options.ts'

/** Everything it knows of the world: it reads no clock, disk or network of its own. */
export interface ControlPlaneDeps {
  readonly state: ClusterState
  readonly clock: Clock
  readonly random: Random
  readonly load: Load
  readonly observed: {
    readonly report: Reporter
    heartbeat(nodeId: string, heartbeat: HeartbeatRequest): void
  }
}

export type ControlPlaneOptions = Pick<
  CoordinatorOptions,
  'liveness' | 'massLoss' | 'scheduler' | 'advertised'
>

export interface ControlPlane {
  readonly liveNodes: LiveNodes
  readonly nodeView: NodeViewDeps
  readonly view: SchedulerView
  readonly placement: PlacementController
  readonly sessions: Sessions
  /** As of the last look at an autoscaled workload. */
  readonly autoscalingOf: (workloadId: string) => AutoscalingStatus | undefined
  readonly massLoss: MassLossController
  readonly restored: RestoredBehind
}

/** Puts what must be closed on `opened`, which ends it in the opposite order: sessions before what they feed. */
export function startControlPlane(
  { state, clock, random, load, observed }: ControlPlaneDeps,
  options: ControlPlaneOptions,
  opened: AsyncDisposableStack,
): ControlPlane {
  const { report } = observed
  const onChange = (nodeId: string): void => {
    view.lookAt(nodeId)
    nodeController.look(nodeId)
  }
  const liveNodes = new LiveNodes(
    { clock, onChange, onPlatforms: (images) => view.platformsChanged(images) },
    options.liveness,
  )
  opened.defer(() => liveNodes.close())
  awaitMembers(state, liveNodes)
  const nodeView = { state, liveNodes, clock, startedAtMs: clock.wallMs() }
  const view = new SchedulerView({
    state,
    liveNodes,
    clock,
    settings: options.scheduler,
    reliability: (nodeId) => reliabilityOf(nodeView, state.get('node', nodeId)!),
  })

  opened.defer(() => view.close())

  const massLoss = new MassLossController(
    { state, clock, liveNodes, report, onRelease: (nodeId) => nodeController.look(nodeId) },
    options.massLoss,
  )
  opened.defer(() => massLoss.close())
  const nodeController = new NodeController({ state, clock, random, liveNodes, report, massLoss })
  opened.defer(() => nodeController.close())
  const histories = new NodeHistories({ state, clock, report })
  opened.defer(() => histories.close())
  const workloadController = new WorkloadController({ state, clock, random, report })
  opened.defer(() => workloadController.close())
  const daemonController = new DaemonController({ state, clock, random, report, view })
  opened.defer(() => daemonController.close())
  const jobController = new JobController({ state, clock, random, report })
  opened.defer(() => jobController.close())
  const cronController = new CronController({ state, clock, random, report })
  opened.defer(() => cronController.close())
  const placement = new PlacementController({
    ...{ state, view, clock, random, report },
    // What only moves to balance nodes is worth nobody's room.
    onRefused: (refused) => preemption.offer(refused.filter(({ id }) => !isOfMove(state, id))),
  })
  opened.defer(() => placement.close())
  const preemption = new PreemptionController({
    ...{ state, view, clock, random, report },
    retry: (ids) => placement.retry(ids),
  })
  opened.defer(() => preemption.close())

  const usages = new ReplicaUsages({ state, clock })
  opened.defer(() => usages.close())
  const autoscaling = new AutoscaleController({ state, clock, random, usages, report })
  opened.defer(() => autoscaling.close())
  const rebalance = new RebalanceController({ state, view, clock, random, report })
  opened.defer(() => rebalance.close())

  const restored = new RestoredBehind({ state, clock, report })
  const observations = new ObservationWriter({
    state,
    clock,
    onError: (reason) => report.error('storing what agents report', reason),
    onStored: (before, after) => report.replicaChanged(before, after),
  })
  opened.defer(() => observations.close())
  const sessions = new Sessions(
    {
      state,
      clock,
      liveNodes,
      observations,
      load,
      welcome: (nodeId, hello) => {
        restored.greet(nodeId, hello)
        return nodeController.welcome(nodeId, hello)
      },
      onHeartbeat: (nodeId, heartbeat) => {
        usages.tell(nodeId, heartbeat.replicaUsage)
        observed.heartbeat(nodeId, heartbeat)
      },
    },
    { coordinators: () => coordinatorAddresses(state, options.advertised) },
  )
  opened.defer(() => sessions.close())
  const autoscalingOf = (workloadId: string): AutoscalingStatus | undefined =>
    autoscaling.statusOf(workloadId)
  return { liveNodes, nodeView, view, placement, sessions, autoscalingOf, massLoss, restored }
}

/** Those who were there before this start have a while to return; those known to be gone stay so. */
function awaitMembers(state: ClusterState, liveNodes: LiveNodes): void {
  for (const { id, record } of state.all('node')) {
    const { phase } = record.node!.status!
    if (phase === NodePhase.OFFLINE) liveNodes.presumeLost(id)
    else if (phase !== NodePhase.ENROLLING) liveNodes.expect(id)
  }
}
