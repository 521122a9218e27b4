/** The handlers of CoordinatorService, each group given what it needs. */
import type { Coordinator, Workload } from '@cloudless/api'
import { backupHandlers } from '../api/backup-handlers.ts'
import { clusterHandlers } from '../api/cluster-handlers.ts'
import { coordinatorHandlers } from '../api/coordinator-handlers.ts'
import { cronHandlers } from '../api/cron-handlers.ts'
import { eventHandlers } from '../api/event-handlers.ts'
import { explainHandlers } from '../api/explain-handlers.ts'
import type { ReleasedFragments } from '../api/fragments.ts'
import { nodeHandlers } from '../api/node-handlers.ts'
import { poolHandlers } from '../api/pool-handlers.ts'
import { scheduleHandlers } from '../api/schedule-handlers.ts'
import { schedulerConfigurationHandlers } from '../api/scheduler-configuration-handlers.ts'
import { simulateHandlers } from '../api/simulate-handlers.ts'
import { tokenHandlers } from '../api/token-handlers.ts'
import { workloadHandlers } from '../api/workload-handlers.ts'
import type { BackupMaker } from '../backup/backup-maker.ts'
import { coordinatorAddresses } from '../membership/coordinator-addresses.ts'
import type { OtherCoordinators } from '../raft/other-coordinators.ts'
import type { Recover } from '../raft/recovery.ts'
import type { RaftGroup } from '../raft/raft-group.ts'
import { admitWorkload } from './admission.ts'
import type { ControlPlane } from './control-plane.ts'
import { requireEtcd, type EngineKind } from './engine.ts'
import type { Foundation } from './foundation.ts'
import type { CoordinatorOptions } from './options.ts'

export interface HandlersDeps extends Foundation, ControlPlane {
  /** Cuts every connection of a node. */
  readonly closeConnectionsOf: (nodeId: string) => void
  readonly released: ReleasedFragments
  readonly describe: () => Coordinator
  readonly recover: Recover
  readonly group: RaftGroup | undefined
  readonly others: OtherCoordinators
  readonly wantEngine: (kind: EngineKind) => void
  readonly backups: BackupMaker
  readonly handOver: (successorId: string) => Promise<void>
}

export type Handlers = ReturnType<typeof createHandlers>

/** Between telling a removed node's agent so and cutting its connections. */
const evictionGraceMs = 100

export function createHandlers(deps: HandlersDeps, options: CoordinatorOptions) {
  const { clock, observed, sessions, liveNodes, placement, state } = deps
  const coordinators = (): string[] => coordinatorAddresses(state, options.advertised)
  const admit = (workload: Workload): void => {
    try {
      admitWorkload(options.admission, workload)
    } catch (reason) {
      observed.policyViolated(workload, reason)
      throw reason
    }
  }
  return {
    nodes: nodeHandlers(
      {
        ...deps.nodeView,
        onUpdated: (node, action) => observed.nodeUpdated(node, action),
        onRemoved: (node) => {
          const { id, name } = node.node!
          sessions.evict(id, 'removed', `node "${name}" was removed from the cluster`)
          liveNodes.forget(id)
          // The word of the eviction gets a moment to leave before the wire is cut.
          clock.after(evictionGraceMs, () => deps.closeConnectionsOf(id))
          observed.nodeRemoved(node)
        },
      },
      { rejoinWindowMs: options.enrolment.rejoinWindowMs },
    ),
    workloads: workloadHandlers({
      ...deps,
      admit,
      onChanged: (workload, action, before) => observed.workloadChanged(workload, action, before),
    }),
    crons: cronHandlers({
      ...deps,
      onChanged: (workload, action) => observed.workloadChanged(workload, action),
      onRun: (cron, job) => observed.report.cronStarted(cron, job),
    }),
    tokens: tokenHandlers({
      ...deps,
      addresses: coordinators,
      onChanged: (token, action) => observed.tokenChanged(token, action),
    }),
    schedule: scheduleHandlers({
      ...deps,
      admit,
      onReschedule: (workload, why) => observed.workloadRescheduled(workload, why),
    }),
    explain: explainHandlers(deps),
    simulate: simulateHandlers(deps),
    pool: poolHandlers({ ...deps, released: () => deps.released.all() }),
    scheduler: schedulerConfigurationHandlers({
      ...deps,
      file: options.scheduler,
      onChanged: (configuration) => observed.schedulerConfigured(configuration),
    }),
    cluster: clusterHandlers({
      ...deps,
      startedAtMs: clock.wallMs(),
      coordinators,
      queueDepth: () => placement.queueDepth,
    }),
    coordinators: coordinatorHandlers({
      ...deps,
      coordinatorId: options.server.coordinatorId,
      isToldOfRaft: options.isToldOfRaft,
      requireEtcd: () => requireEtcd(options.etcdBinary),
      onChanged: (id, action) => observed.coordinatorChanged(id, action),
    }),
    backups: backupHandlers({
      backups: deps.backups,
      onMade: (summary, where) => observed.backupMade(summary, where),
    }),
    events: eventHandlers(observed.events),
  }
}
