/** What the outside learns of this coordinator: its log, its figures and the cluster's events. */
import { toJson } from '@bufbuild/protobuf'
import {
  SchedulerConfigurationSchema,
  type BackupSummary,
  type HeartbeatRequest,
  type JoinToken,
  type NodeRecord,
  type SchedulerConfiguration,
  type Workload,
  type WorkloadRecord,
} from '@cloudless/api'
import { type Clock, counted, formatBytes, messageOf, type Random } from '@cloudless/base'
import type { MetadataStore } from '@cloudless/metadata'
import {
  buildFacts,
  createCoordinatorMetrics,
  type CoordinatorMetrics,
  EventLog,
  type EventType,
  runWithContext,
  type Logger,
} from '@cloudless/observability'
import type { CoordinatorAction } from '../api/coordinator-handlers.ts'
import type { NodeAction } from '../api/node-handlers.ts'
import type { WorkloadAction } from '../api/workload-handlers.ts'
import type { Reporter } from '../controllers/reporter.ts'
import type { Enrolled } from '../membership/enrolment.ts'
import type { Renewed } from '../membership/renewal.ts'
import type { CallObserver } from '../server/call-observer.ts'
import type { Readiness } from '../server/http-paths.ts'
import { createCallObserver } from './call-reports.ts'
import { measureStore } from './measured-store.ts'
import { createReporter } from './reporter.ts'
import { workloadEvents } from './workload-reports.ts'
import { StoreHealth } from './store-health.ts'

export interface Observed {
  readonly logger: Logger
  readonly metrics: CoordinatorMetrics
  readonly events: EventLog
  readonly report: Reporter
  readonly calls: CallObserver
  /** The store that was given, with its operations counted and timed. */
  readonly store: MetadataStore
  readonly readiness: () => Readiness
  /** The doors are open. */
  serving(addresses: readonly string[]): void
  /** It leads from now on. */
  leads(why: string): void
  leadsNoLonger(why: string): void
  heartbeat(nodeId: string, heartbeat: HeartbeatRequest): void
  enrolled(enrolled: Enrolled): void
  enrolmentRefused(nodeName: string, reason: unknown): void
  renewed(renewed: Renewed): void
  nodeUpdated(node: NodeRecord, action: NodeAction): void
  nodeRemoved(node: NodeRecord): void
  workloadChanged(workload: WorkloadRecord, action: WorkloadAction, before?: WorkloadRecord): void
  workloadRescheduled(workload: Workload, why: string): void
  coordinatorChanged(coordinatorId: string, action: CoordinatorAction | 'promote'): void
  coordinatorRecovered(removed: readonly string[]): void
  backupMade(summary: BackupSummary, where: string): void
  backupFailed(reason: unknown): void
  tokenChanged(token: JoinToken, action: 'create' | 'revoke'): void
  schedulerConfigured(configuration: SchedulerConfiguration): void
  policyViolated(workload: Workload, reason: unknown): void
  /** Writes the events that wait, if the store takes them. */
  close(): Promise<void>
}

export interface ObservedDeps {
  readonly clock: Clock
  readonly random: Random
  readonly store: MetadataStore
  readonly logger: Logger
}

export interface ObservedOptions {
  readonly eventsMax: number
  /** Actor of what nobody asked for. */
  readonly coordinatorId: string
}

export async function createObserved(
  deps: ObservedDeps,
  options: ObservedOptions,
): Promise<Observed> {
  const { logger } = deps
  const metrics = createCoordinatorMetrics(deps, buildFacts())
  const health = new StoreHealth(deps)
  const onTransaction = health.note.bind(health)
  const store = measureStore({ clock: deps.clock, metrics, onTransaction }, deps.store)
  const events = await EventLog.open(
    { ...deps, store, logger },
    { systemId: options.coordinatorId, eventsMax: options.eventsMax },
  )
  const report = createReporter({ clock: deps.clock, logger, metrics, events })
  const say = (type: EventType, what: string): void => {
    const { coordinatorId } = options
    const description = `coordinator "${coordinatorId}" ${what}`
    events.append({ type, resourceType: 'coordinator', resourceId: coordinatorId, description })
  }
  return {
    logger,
    metrics,
    events,
    report,
    calls: createCallObserver({ logger, metrics, events }),
    store,
    readiness: () => health.readiness,

    serving(addresses) {
      metrics.leadership.isLeader.set({}, 0)
      say('coordinator.started', `serves at ${addresses.join(', ')}`)
    },

    leads(why) {
      metrics.leadership.elections.increment({ result: 'won' })
      metrics.leadership.isLeader.set({}, 1)
      logger.info({}, `leads: ${why}`)
      say('coordinator.leader_elected', `leads: ${why}`)
    },

    leadsNoLonger(why) {
      metrics.leadership.isLeader.set({}, 0)
      logger.info({}, why)
      say(
        'coordinator.leader_stepdown',
        `leads no longer: ${why.replace(/^this coordinator leads no longer: /, '')}`,
      )
    },

    heartbeat(nodeId, heartbeat) {
      if (heartbeat.roundTripMs <= 0) return
      metrics.membership.heartbeatLatencySeconds.observe(
        { node_id: nodeId },
        heartbeat.roundTripMs / 1_000,
      )
    },

    enrolled({ node, token, replacedNodeId }) {
      metrics.membership.enrollments.increment({ result: 'success' })
      if (replacedNodeId !== undefined) metrics.forgetNode(replacedNodeId)
      const actor = { type: 'node', id: node.node!.id } as const
      runWithContext({ actor }, () => tellEnrolment(events, { node, token, replacedNodeId }))
    },

    enrolmentRefused(nodeName, reason) {
      metrics.membership.enrollments.increment({ result: 'failure' })
      events.append({
        type: 'security.auth_failed',
        resourceType: 'node',
        resourceId: nodeName,
        description: `a device that calls itself "${nodeName}" was not let in`,
        error: messageOf(reason),
      })
    },

    renewed({ node }) {
      const { id, name } = node.node!
      const description = `node "${name}" renewed its certificate`
      events.append({ type: 'node.renewed', resourceType: 'node', resourceId: id, description })
      issued(events, node)
    },

    nodeUpdated(node, action) {
      const { id, name } = node.node!
      const type = nodeEventByAction[action]
      const done = { drain: 'is being drained', cordon: 'was cordoned', uncordon: 'was uncordoned' }
      const what = action === 'update' ? 'has new labels or taints' : done[action]
      const description = `node "${name}" ${what}`
      events.append({ type, resourceType: 'node', resourceId: id, description })
    },

    nodeRemoved(node) {
      const { id, name } = node.node!
      metrics.forgetNode(id)
      events.append({
        type: 'node.removed',
        resourceType: 'node',
        resourceId: id,
        description: `node "${name}" was removed from the cluster`,
      })
      events.append({
        type: 'security.cert_revoked',
        resourceType: 'node',
        resourceId: id,
        description: `certificates of "${name}" are refused from now on`,
      })
    },

    workloadChanged(workload, action, before) {
      const { spec } = workload.workload!
      if (action === 'scale' && before) {
        const direction = spec!.replicas >= before.workload!.spec!.replicas ? 'up' : 'down'
        metrics.workloads.scaleOperations.increment({ direction })
      }
      for (const event of workloadEvents(workload, action)) events.append(event)
    },

    workloadRescheduled({ id, namespace, name }, why) {
      const type = 'scheduling.reschedule'
      const description = `every replica of workload "${name}" is placed anew${why && `: ${why}`}`
      events.append({ type, resourceType: 'workload', resourceId: id, namespace, description })
    },

    coordinatorChanged(id, action) {
      const what = { join: 'joins', promote: 'has a vote', remove: 'was removed' }[action]
      const type = coordinatorEventByAction[action]
      const description = `coordinator "${id}" ${what}`
      events.append({ type, resourceType: 'coordinator', resourceId: id, description })
    },

    coordinatorRecovered(removed) {
      const without = removed.length === 0 ? 'no other' : removed.map((id) => `"${id}"`).join(', ')
      logger.warn({ removed }, 'this coordinator was recovered from a lost majority')
      say(
        'coordinator.recovered',
        `is the only one from now on, without ${without}: the majority was lost`,
      )
    },

    backupMade({ revision, entries, fileBytes }, where) {
      events.append({
        type: 'backup.made',
        resourceType: 'cluster',
        resourceId: 'backup',
        description:
          `a backup of revision ${revision} ${where}: ${entries} entries, ` +
          formatBytes(Number(fileBytes)),
        metadata: { revision: String(revision), bytes: String(fileBytes) },
      })
    },

    backupFailed(reason) {
      events.append({
        type: 'backup.failed',
        resourceType: 'cluster',
        resourceId: 'backup',
        description: 'a backup that was due could not be made; it is tried again',
        error: messageOf(reason),
      })
    },

    tokenChanged(token, action) {
      events.append({
        type: action === 'create' ? 'token.created' : 'token.revoked',
        resourceType: 'token',
        resourceId: token.id,
        description:
          action === 'create'
            ? `good for ${counted(token.maxUses, 'use')}`
            : `after ${counted(token.uses, 'use')}`,
      })
    },

    schedulerConfigured(configuration) {
      const { changed } = configuration
      events.append({
        type: 'scheduling.configured',
        resourceType: 'cluster',
        resourceId: 'scheduler',
        description:
          changed.length === 0
            ? "the scheduler's configuration is the file's again"
            : `the scheduler's configuration differs from the file's in ${changed.join(', ')}`,
        metadata: Object.fromEntries(
          Object.entries(toJson(SchedulerConfigurationSchema, configuration) as object)
            .filter(([name]) => changed.includes(name))
            .map(([name, value]) => [
              name,
              typeof value === 'string' ? value : JSON.stringify(value),
            ]),
        ),
      })
    },

    policyViolated(workload, reason) {
      const { name, namespace } = workload
      events.append({
        type: 'security.policy_violation',
        resourceType: 'workload',
        resourceId: name,
        namespace,
        description: `workload "${name}" asks for what is not allowed here`,
        error: messageOf(reason),
      })
    },

    async close() {
      health.close()
      say('coordinator.stopped', 'stops serving')
      // A store that takes nothing any more must not keep the coordinator from ending in good order.
      await events.close().catch((reason: unknown) => {
        logger.warn({ error: reason }, 'the last events could not be written')
      })
    },
  }
}

function tellEnrolment(
  events: EventLog,
  { node, token, replacedNodeId }: Omit<Enrolled, 'response'>,
): void {
  const { id, name, region, zone, podCidr } = node.node!
  const { id: tokenId, uses, maxUses } = token.joinToken!
  const place = [region, zone].filter((part) => part !== '').join('/')
  events.append({
    type: 'node.enrolled',
    resourceType: 'node',
    resourceId: id,
    description: `node "${name}" joined${place && ` in ${place}`} with token ${tokenId}`,
    metadata: { name, join_token_id: tokenId, pod_cidr: podCidr },
  })
  events.append({
    type: 'token.used',
    resourceType: 'token',
    resourceId: tokenId,
    description: `used by "${name}" (${uses} of ${maxUses})`,
  })
  issued(events, node)
  if (replacedNodeId === undefined) return
  events.append({
    type: 'node.removed',
    resourceType: 'node',
    resourceId: replacedNodeId,
    description: `the lost node "${name}" was replaced by ${id}`,
  })
}

function issued(events: EventLog, node: NodeRecord): void {
  const { id, name, certificateExpiresAtMs } = node.node!
  const until = new Date(Number(certificateExpiresAtMs))
    .toISOString()
    .replace('T', ' ')
    .replace(/\.\d+/, '')
  events.append({
    type: 'security.cert_issued',
    resourceType: 'node',
    resourceId: id,
    description: `node "${name}" has a certificate until ${until}`,
    metadata: { serial: node.certificateSerials.at(-1) ?? '' },
  })
}

const coordinatorEventByAction = {
  join: 'coordinator.joined',
  promote: 'coordinator.promoted',
  remove: 'coordinator.removed',
} as const

const nodeEventByAction = {
  drain: 'node.draining',
  cordon: 'node.cordoned',
  uncordon: 'node.uncordoned',
  update: 'node.updated',
} as const
