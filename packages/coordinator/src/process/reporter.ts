/** Turns what controllers did into events, figures and log lines. */
import { counted, formatDurationMs } from '@cloudless/base'
import { NodePhase, type ReplicaRecord, type WorkloadRecord } from '@cloudless/api'
import type { Clock } from '@cloudless/base'
import type { CoordinatorMetrics, EventLog, EventType, Logger } from '@cloudless/observability'
import type { Reporter } from '../controllers/reporter.ts'
import type { WorkloadWord } from '../controllers/workload-progress.ts'
import { rolloutEvent } from './rollout-reports.ts'
import { countRestarts, sayOfReplicas, sayTransition, workloadLabels } from './replica-reports.ts'

export interface ReporterDeps {
  readonly clock: Clock
  readonly logger: Logger
  readonly metrics: CoordinatorMetrics
  readonly events: EventLog
}

const phaseEvents: Readonly<Record<string, 'node.ready' | 'node.offline' | 'node.failed'>> = {
  [NodePhase.READY]: 'node.ready',
  [NodePhase.OFFLINE]: 'node.offline',
  [NodePhase.FAILED]: 'node.failed',
}

const workloadSentences: Readonly<Record<WorkloadWord, string>> = {
  scheduled: 'every replica has a place:',
  ready: 'every replica is ready:',
  degraded: 'fewer replicas are ready than wanted:',
  failed: 'a replica was given up:',
}

/** Of what a drain waits for; `node describe` says more. */
const saidOfDrainMax = 3

const jobSentences: Readonly<Record<string, string>> = {
  failed: 'has failed, its retries are used up',
  deadline_exceeded: 'has failed, its time is up',
}

export function createReporter({ clock, logger, metrics, events }: ReporterDeps): Reporter {
  const say = sayOfReplicas(events)
  const sayOf = ({ workload }: WorkloadRecord, type: EventType, description: string): void => {
    const { id, namespace } = workload!
    events.append({ type, resourceType: 'workload', resourceId: id, namespace, description })
  }
  return {
    nodePhaseChanged(node, change) {
      const { id, name, createdAtMs } = node.node!
      const nowMs = clock.wallMs()
      const { before, after, message, lastTransitionMs } = change
      const { membership } = metrics
      if (before === NodePhase.ENROLLING) {
        membership.joinConvergenceSeconds.observe({}, (nowMs - Number(createdAtMs)) / 1_000)
      }
      if (before === NodePhase.OFFLINE) {
        membership.recoverySeconds.observe({}, (nowMs - lastTransitionMs) / 1_000)
      }
      if (after === NodePhase.OFFLINE && change.silentMs !== undefined) {
        membership.leaveConvergenceSeconds.observe({}, change.silentMs / 1_000)
      }
      const type = phaseEvents[after]
      if (type === undefined) return
      const state = { 'node.ready': 'ready', 'node.offline': 'lost', 'node.failed': 'failing' }[
        type
      ]
      events.append({
        type,
        resourceType: 'node',
        resourceId: id,
        description: `node "${name}" is ${state}${message && `: ${message}`}`,
      })
    },
    nodeLost(node, replicaCount) {
      logger.warn(
        { nodeId: node.node!.id, replicaCount },
        'the replicas of a lost node are replaced',
      )
    },
    nodeReturned(node, { awayMs, kept, fenced }) {
      const { id, name } = node.node!
      const found = `${counted(kept, 'replica')} kept, ${fenced} stopped`
      events.append({
        type: 'node.returned',
        resourceType: 'node',
        resourceId: id,
        description: `node "${name}" is back after ${formatDurationMs(awayMs)}: ${found}`,
      })
    },
    massLossBegun(vanished, present) {
      events.append({
        type: 'node.mass_loss',
        resourceType: 'cluster',
        resourceId: 'membership',
        description:
          `${counted(vanished, 'node')} vanished together, ${present} left: what they ran is replaced slowly ` +
          'until it is clear whether they come back; is it the network?',
        metadata: { vanished: String(vanished), present: String(present) },
      })
    },
    massLossOver(vanished, afterMs) {
      const took = formatDurationMs(Math.round(afterMs / 1_000) * 1_000)
      events.append({
        type: 'node.mass_loss_over',
        resourceType: 'cluster',
        resourceId: 'membership',
        description: `of ${counted(vanished, 'node')} that had vanished together none is held back any more, after ${took}`,
      })
    },
    nodeDrained(node) {
      const { id, name } = node.node!
      const description = `node "${name}" is empty`
      events.append({ type: 'node.drained', resourceType: 'node', resourceId: id, description })
    },
    drainStuck(node, replicaCount, waiting) {
      const { id, name } = node.node!
      events.append({
        type: 'node.drain_stuck',
        resourceType: 'node',
        resourceId: id,
        description:
          `node "${name}" still has ${counted(replicaCount, 'replica')} after its drain's deadline, ` +
          `and goes on trying: ${waiting.slice(0, saidOfDrainMax).join('; ')}`,
      })
    },
    replicaCreated(replica) {
      const { replaces, revision } = replica.status!
      say(replica, 'replica.created', `is to run revision ${revision}`)
      if (replaces === '') return
      say(replica, 'scheduling.reschedule', `stands in for ${replaces}`)
    },
    replicaStopping(replica, reason) {
      say(replica, 'replica.stopping', `is being stopped: ${reason}`)
    },
    replicaReclaimed(replica) {
      const { nodeName } = replica.status!
      say(replica, 'replica.returned', `is back with node "${nodeName}" and kept`)
    },
    replicaFenced(replica) {
      const where = `on node "${replica.status!.nodeName}"`
      say(replica, 'replica.fenced', `is not wanted any more, was found ${where}, and is stopped`)
    },
    replicaChanged(before, after) {
      sayTransition(say, before, after)
      countRestarts(metrics, before, after)
      if (after?.status!.reason === 'ProbeFailed' && before.status!.reason !== 'ProbeFailed') {
        metrics.workloads.healthCheckFailures.increment({
          ...workloadLabels(after),
          probe_type: after.status!.message.startsWith('readiness') ? 'readiness' : 'liveness',
        })
      }
    },
    replicaPlaced(replica, node, score, predecessor) {
      metrics.scheduling.decisions.increment({ result: 'success' })
      metrics.scheduling.placementScore.observe({ node_id: node.node!.id }, score * 100)
      const moved = predecessor && reasonOfMove(predecessor)
      if (moved) metrics.scheduling.reschedules.increment({ reason: moved })
      const lostAtMs = Number(predecessor?.lostAtMs ?? 0n)
      if (lostAtMs > 0) {
        const latencySeconds = (clock.wallMs() - lostAtMs) / 1_000
        metrics.scheduling.rescheduleLatencySeconds.observe({}, latencySeconds)
      }
      say(replica, 'scheduling.decision', `goes to node "${node.node!.name}"`, {
        node_id: node.node!.id,
        score: score.toFixed(3),
      })
    },
    replicaUnplaceable(replica, message, isReplacement) {
      const { pendingReasons } = replica.status!
      const none = pendingReasons.length === 0
      metrics.scheduling.decisions.increment({ result: none ? 'no_nodes' : 'failure' })
      if (isReplacement) {
        const isConstrained = pendingReasons.some(({ reason }) => isConstraint(reason))
        const reason = isConstrained ? 'constraint_violation' : 'insufficient_capacity'
        metrics.scheduling.rescheduleFailures.increment({ reason })
      }
      say(replica, 'scheduling.placement_failed', `has no place: ${message}`)
    },
    roomMade(replica, node, victims) {
      const { id, workloadName } = replica.status!
      const { name } = node.node!
      for (const victim of victims) {
        metrics.scheduling.preemptions.increment({})
        say(victim, 'scheduling.preempted', `makes room for ${id} of "${workloadName}"`)
        say(victim, 'replica.stopping', 'is being stopped: preempted')
      }
      const ids = victims.map((victim) => victim.status!.id).join(', ')
      const how = victims.length === 0 ? '' : `: ${ids} being stopped for it`
      say(replica, 'scheduling.preempted', `gets room on node "${name}"${how}`, {
        node_id: node.node!.id,
      })
    },
    workloadAutoscaled(workload, { from, to, why }) {
      const { id, name, namespace } = workload.workload!
      metrics.workloads.scaleOperations.increment({ direction: to > from ? 'up' : 'down' })
      events.append({
        type: 'workload.autoscaled',
        resourceType: 'workload',
        resourceId: id,
        namespace,
        description: `workload "${name}" goes from ${from} to ${counted(to, 'replica')}: ${why}`,
        metadata: { from: String(from), to: String(to) },
      })
    },
    workloadRebalanced(workload, replica, target) {
      const { id, name, namespace } = workload.workload!
      const { id: replicaId, nodeName } = replica.status!
      const where = `from node "${nodeName}" to "${target?.node!.name ?? ''}"`
      events.append({
        type: 'workload.rebalanced',
        resourceType: 'workload',
        resourceId: id,
        namespace,
        description: `replica ${replicaId} of "${name}" is moved ${where}, which has more to give`,
      })
    },
    restoredBehind(node, replicaId, backupAtMs) {
      const { id, name } = node.node!
      const workload = replicaId.slice(0, replicaId.lastIndexOf('-'))
      const of = new Date(backupAtMs).toISOString()
      logger.warn({ nodeId: id, replicaId }, 'a replica is newer than the backup and is stopped')
      events.append({
        type: 'cluster.restored_behind',
        resourceType: 'replica',
        resourceId: replicaId,
        description:
          `node "${name}" came back with replica ${replicaId} of "${workload}", which the backup of ${of} does not know: ` +
          'it is stopped',
        metadata: { node_id: id, workload },
      })
    },
    workloadDeleted(workload) {
      metrics.forgetWorkload(workload.workload!.id)
    },
    workloadProgressed(workload, word) {
      const { name } = workload.workload!
      sayOf(workload, `workload.${word}`, `${workloadSentences[word]} workload "${name}"`)
    },
    jobEnded(job) {
      const { name } = job.workload!
      const { outcome, succeeded, failed } = job.job!
      const counts = `${succeeded} ended well, ${failed} failed`
      if (outcome === 'complete')
        sayOf(job, 'job.completed', `job "${name}" is complete: ${counts}`)
      else sayOf(job, 'job.failed', `job "${name}" ${jobSentences[outcome]}: ${counts}`)
    },
    cronStarted(cron, job) {
      const what = `cron "${cron.workload!.name}" runs: job "${job.workload!.name}"`
      sayOf(cron, 'cron.started', what)
    },
    cronSkipped(cron, why) {
      sayOf(cron, 'cron.skipped', `a run of cron "${cron.workload!.name}" is left out: ${why}`)
    },
    rolloutProgressed(workload, word) {
      const event = rolloutEvent(workload, word)
      if (event === undefined) return
      events.append(event)
      if (word === 'completed' || word === 'failed' || word === 'rolled_back') {
        metrics.workloads.rollouts.increment({ outcome: word })
      }
    },
    workloadReady(_workload, sinceCreationMs) {
      metrics.workloads.creationSeconds.observe({}, sinceCreationMs / 1_000)
    },
    scheduled({ filterSeconds, scoreSeconds, bindSeconds }) {
      const { durationSeconds } = metrics.scheduling
      durationSeconds.observe({ phase: 'filter' }, filterSeconds)
      durationSeconds.observe({ phase: 'score' }, scoreSeconds)
      durationSeconds.observe({ phase: 'bind' }, bindSeconds)
    },
    schedulingFailed(reason) {
      metrics.scheduling.rescheduleFailures.increment({ reason: 'scheduler_error' })
      logger.error({ error: reason }, 'placing replicas failed; it is tried again')
    },
    error(what, reason) {
      logger.error({ error: reason }, `${what} failed; it is tried again`)
    },
  }
}

/** Reasons that are counted by themselves. */
const countedMoves = ['drained', 'tainted', 'restarted', 'rescheduled', 'rebalanced']

/** Why the work of a replica goes to another; undefined for an update, which is no move. */
function reasonOfMove({
  lostAtMs,
  replaceWanted,
  replaceReason,
}: ReplicaRecord): string | undefined {
  if (lostAtMs > 0n) return 'node_lost'
  if (!replaceWanted) return undefined
  return countedMoves.includes(replaceReason) ? replaceReason : 'other'
}

/** What the phase filter says of a node that takes nothing. */
const phaseReasons = ['not heard from', 'enrolling', 'cordoned', 'draining', 'offline', 'failed']

/** A node would be there and have room, but the replica asks for another. */
function isConstraint(reason: string): boolean {
  return !reason.startsWith('not enough ') && !phaseReasons.includes(reason)
}
