/** For tests: the scheduler's view of a state, and the controllers that place from it. */
import type { TestContext } from 'node:test'
import { seededRandom, systemClock } from '@cloudless/base'
import { defaultWeights } from '@cloudless/scheduler'
import { PlacementController } from '../controllers/placement-controller.ts'
import { PreemptionController } from '../controllers/preemption.ts'
import type { Reporter } from '../controllers/reporter.ts'
import type { SchedulerSettings } from '../controllers/scheduler-configuration.ts'
import { SchedulerView } from '../controllers/scheduler-view.ts'
import { LiveNodes } from '../membership/live-nodes.ts'
import { livenessDefaults } from '../membership/liveness.ts'
import type { ClusterState } from '../state/cluster-state.ts'
import { cleanUp } from './cluster.ts'

/** Those of a configuration file that says nothing. */
export const schedulerDefaults: SchedulerSettings = {
  weights: defaultWeights,
  packing: 'binpack',
  spreadTopology: 'zone',
  cpuOvercommit: 1,
  memoryOvercommit: 1,
  preemptionPriorityAbove: 100,
}

export interface OpenScheduling {
  readonly view: SchedulerView
  readonly liveNodes: LiveNodes
  readonly controller: PlacementController
  readonly preemption: PreemptionController
}

export function openScheduling(
  t: TestContext,
  state: ClusterState,
  report: Reporter,
  settings: Partial<SchedulerSettings> = {},
): OpenScheduling {
  const clock = systemClock
  const liveNodes = new LiveNodes(
    { clock, onChange: (nodeId) => view.lookAt(nodeId) },
    livenessDefaults,
  )
  cleanUp(t, () => liveNodes.close())
  const view = createView(state, liveNodes, settings)
  cleanUp(t, () => view.close())
  const deps = { state, view, clock, random: seededRandom(1), report }
  const controller = new PlacementController({
    ...deps,
    onRefused: (refused) => preemption.offer(refused),
  })
  cleanUp(t, () => controller.close())
  const preemption = new PreemptionController(
    { ...deps, retry: (ids) => controller.retry(ids) },
    { reviewMs: 100 },
  )
  cleanUp(t, () => preemption.close())
  return { view, liveNodes, controller, preemption }
}

export function createView(
  state: ClusterState,
  liveNodes: LiveNodes,
  settings: Partial<SchedulerSettings> = {},
): SchedulerView {
  return new SchedulerView({
    state,
    liveNodes,
    clock: systemClock,
    reliability: () => 1,
    settings: { ...schedulerDefaults, ...settings },
  })
}
