/** What a coordinator does while it leads: the control plane, and the calls that are served from it. */
import type { Coordinator } from '@cloudless/api'
import { ReleasedFragments } from '../api/fragments.ts'
import { BackupDirectory } from '../backup/backup-directory.ts'
import { BackupSchedule } from '../backup/backup-schedule.ts'
import { secretFrom } from '../backup/read-backup.ts'
import { BackupMaker } from '../backup/backup-maker.ts'
import { locateContainer } from '../api/locate-container.ts'
import { isGone } from '../membership/is-gone.ts'
import type { Load } from '../membership/loop-load.ts'
import type { OtherCoordinators } from '../raft/other-coordinators.ts'
import type { Recover } from '../raft/recovery.ts'
import { RaftGroup, type RaftGroupDeps } from '../raft/raft-group.ts'
import { createAgentForwarding } from '../server/agent-forwarding.ts'
import type { AgentGateway } from '../server/agent-gateway.ts'
import { Idempotency } from '../server/idempotency.ts'
import type { ServedService } from '../server/rpc-handler.ts'
import { withCallScope } from './call-scope.ts'
import { startControlPlane, type ControlPlane } from './control-plane.ts'
import type { EngineKind } from './engine.ts'
import type { Foundation } from './foundation.ts'
import { createHandlers } from './handlers.ts'
import type { CoordinatorOptions } from './options.ts'
import { coordinatorServices } from './services.ts'
import { sweepNowAndThen } from './sweep.ts'

export interface TermOfOfficeDeps extends Foundation {
  readonly load: Load
  readonly gateway: AgentGateway
  /** Cuts every connection of a node. */
  readonly closeConnectionsOf: (nodeId: string) => void
  readonly describe: () => Coordinator
  readonly recover: Recover
  readonly others: OtherCoordinators
  /** Soon afterwards this coordinator ends and begins anew with its metadata there. */
  readonly wantEngine: (kind: EngineKind) => void
  readonly handOver: (successorId: string) => Promise<void>
}

export interface TermOfOffice {
  readonly control: ControlPlane
  readonly services: readonly ServedService[]
  /** Nothing is decided any more when it resolves. */
  close(): Promise<void>
}

export function beginTermOfOffice(
  deps: TermOfOfficeDeps,
  options: CoordinatorOptions,
): TermOfOffice {
  const { clock, state, store, observed, gateway } = deps
  const opened = new AsyncDisposableStack()
  const control = startControlPlane(deps, options, opened)
  const idempotency = new Idempotency({ store, clock })
  const released = new ReleasedFragments({ state, clock })
  opened.defer(() => released.close())
  opened.defer(sweepNowAndThen({ clock, state, idempotency, report: observed.report }))
  const group = deps.raft && openGroup(deps, deps.raft.cluster)
  opened.defer(() => group?.close())
  const backups = new BackupMaker({
    ...{ clock, store, caFiles: deps.caFiles },
    clusterId: deps.cluster.clusterId,
    trustDomain: deps.authority.trustDomain,
  })
  if (options.backups) {
    const { schedule, directory, keep, ...secretFiles } = options.backups
    const scheduled = new BackupSchedule(
      {
        ...{ clock, random: deps.random, backups },
        directory: new BackupDirectory(directory, deps.cluster.clusterId),
        secret: () => secretFrom(secretFiles),
        onMade: (summary, where) => observed.backupMade(summary, where),
        onFailed: (reason) => observed.backupFailed(reason),
      },
      { schedule, keep },
    )
    opened.defer(() => scheduled.close())
  }
  const whole = { ...deps, ...control, idempotency, released, group, backups }
  const services = [
    ...coordinatorServices({
      ...whole,
      handlers: createHandlers(whole, options),
      enrolment: {
        ...whole,
        isGone: (node) =>
          isGone(node, control.liveNodes.get(node.node!.id)?.liveness, clock.wallMs()),
      },
      enrolmentOptions: options.enrolment,
    }),
    createAgentForwarding({
      locate: (target) => locateContainer(state, target),
      clientFor: (nodeId, signal) => gateway.clientFor(nodeId, signal),
    }),
  ]
  return {
    control,
    services: services.map(withCallScope),
    close: () => opened.disposeAsync(),
  }
}

function openGroup(
  { clock, observed }: TermOfOfficeDeps,
  cluster: RaftGroupDeps['cluster'],
): RaftGroup {
  return new RaftGroup({
    ...{ clock, cluster },
    onPromoted: ({ name }) => observed.coordinatorChanged(name, 'promote'),
    onProblem: (message, reason) => observed.report.error(message, reason),
  })
}
