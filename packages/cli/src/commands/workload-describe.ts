/** `workload describe`: spec, replicas and why they wait, events. */
import {
  RestartPolicyKindSchema,
  RolloutStrategyKindSchema,
  type HealthCheck,
  type JobPolicy,
  type JobStatus,
  type ReplicaStatus,
  type ScoreWeights,
  type TopologySpread,
  type Workload,
} from '@cloudless/api'
import { formatDurationMs } from '@cloudless/base'
import type { Command, CommandContext } from '../command.ts'
import { block, facts, type Fact } from '../output/sheet.ts'
import { formatColumns } from '../output/table.ts'
import { fetchAll } from '../paging.ts'
import { autoscalingText } from '../resources/autoscaling.ts'
import { age, bytes, enumLabel, instant, orDash, pairs } from '../resources/format.ts'
import { nextRun, workloadKind } from '../resources/kind.ts'
import {
  replicaAddresses,
  replicaExplanation,
  replicaReadiness,
  replicaState,
} from '../resources/replica.ts'
import { rolloutSentence } from '../resources/rollout.ts'
import { workloadStatus } from '../resources/workload.ts'
import { recentEvents } from './recent-events.ts'

export const workloadDescribe: Command = {
  description:
    'Prints what a workload asks for, each replica with its node, state and the reason it is not running, and\n' +
    'the newest events.',
  examples: [
    { title: 'Why is it pending?', line: 'cloudlessctl workload describe web' },
    { title: "The same in kubectl's order", line: 'cloudlessctl describe workload web' },
  ],
  arguments: [{ name: 'WORKLOAD', help: 'Name or id', completes: 'workload' }],
  options: [],

  async run(context, input) {
    const { coordinator } = await context.connect()
    const { signal, settings } = context
    const workload = await coordinator.getWorkload(
      { workloadId: input.arguments[0]!, namespace: settings.namespace },
      { signal },
    )
    const [replicas, events] = await Promise.all([
      fetchAll(
        (page) =>
          coordinator.listReplicas(
            { workloadId: workload.id, namespace: workload.namespace, ...page },
            { signal },
          ),
        (page) => page.replicas,
      ),
      recentEvents(context, 'workload', workload.id),
    ])
    context.io.out(describe(context, workload, replicas) + block('Events', events))
    return 0
  },
}

function describe(
  context: CommandContext,
  workload: Workload,
  replicas: readonly ReplicaStatus[],
): string {
  return [
    facts(identityFacts(workload)),
    ...kindBlocks(workload, context.clock.wallMs()),
    block('Container', facts(containerFacts(workload))),
    block('Placement', facts(placementFacts(workload))),
    block('Autoscaling', autoscalingText(workload, context.clock.wallMs())),
    block('Replicas', replicaTable(replicas, context.clock.wallMs())),
  ].join('')
}

function identityFacts(workload: Workload): Fact[] {
  const { spec, status } = workload
  const min = spec?.rollout?.minAvailable
  const strategy = spec?.rollout?.strategy ?? 0
  return [
    ['Name', workload.name],
    ['Namespace', workload.namespace],
    ['ID', workload.id],
    ['Labels', pairs(workload.labels)],
    ['Annotations', pairs(workload.annotations)],
    ['Created', instant(workload.createdAtMs)],
    ['Updated', instant(workload.updatedAtMs)],
    ['Revision', String(workload.revision)],
    ['Status', workloadStatus(workload)],
    ['Message', status?.message ?? ''],
    ['Type', workloadKind(workload)],
    ['Made by', workload.ownerId],
    [
      'Replicas',
      `${status?.desiredReplicas ?? 0} wanted, ${status?.currentReplicas ?? 0} there, ` +
        `${status?.updatedReplicas ?? 0} of this revision, ${status?.readyReplicas ?? 0} ready`,
    ],
    [
      'Rollout',
      [
        ...(strategy === 0 ? [] : [enumLabel(RolloutStrategyKindSchema, strategy)]),
        ...(min === undefined ? [] : [`at least ${min} ready`]),
      ].join(', '),
    ],
    ['Progress', rolloutSentence(workload)],
    ['Priority', spec?.priority ? String(spec.priority) : ''],
  ]
}

/** What is said of a job and of a cron besides. */
function kindBlocks(workload: Workload, nowMs: number): string[] {
  const { spec, status } = workload
  const blocks: string[] = []
  if (spec?.cron !== undefined) blocks.push(block('Cron', facts(cronFacts(workload, nowMs))))
  if (spec?.job !== undefined) blocks.push(block('Job', facts(jobFacts(spec.job, status?.job))))
  return blocks
}

function cronFacts(workload: Workload, nowMs: number): Fact[] {
  const { schedule, timeZone, concurrencyPolicy, startingDeadlineMs } = workload.spec!.cron!
  const cron = workload.status?.cron
  return [
    ['Schedule', `${schedule} (${timeZone || 'UTC'})`],
    ['Next run', nextRun(workload, nowMs)],
    ['Last run', instant(cron?.lastRunAtMs ?? 0n)],
    ['Last success', instant(cron?.lastSuccessAtMs ?? 0n)],
    ['Active', cron?.active.join(', ') ?? ''],
    ['Left out', cron?.skipped ?? ''],
    ['Concurrency', concurrencyPolicy],
    ['Made up for', `when not later than ${formatDurationMs(Number(startingDeadlineMs))}`],
  ]
}

function jobFacts(policy: JobPolicy, job: JobStatus | undefined): Fact[] {
  const { parallelism, completions, retries = 0, deadlineMs, ttlAfterFinishedMs } = policy
  const progress: Fact[] = job
    ? [
        ['Progress', `${job.active} active, ${job.succeeded} ended well, ${job.failed} failed`],
        ['Started', instant(job.startedAtMs)],
        ['Finished', instant(job.finishedAtMs)],
        ['Outcome', job.outcome.replace('_', ' ')],
      ]
    : []
  return [
    ['Completions', `${completions || 1}, ${parallelism || 1} at a time`],
    ['Retries', String(retries)],
    ['Deadline', deadlineMs > 0n ? formatDurationMs(Number(deadlineMs)) : ''],
    [
      'Deleted',
      ttlAfterFinishedMs === undefined
        ? ''
        : `${formatDurationMs(Number(ttlAfterFinishedMs))} after it ended`,
    ],
    ...progress,
  ]
}

function containerFacts({ spec }: Workload): Fact[] {
  if (spec === undefined) return []
  const { requests, limits } = spec.resources ?? {}
  const amounts = (of: typeof requests): string =>
    of === undefined ? '' : `cpu ${of.cpuMillicores}m, memory ${bytes(of.memoryBytes)}`
  const policy = spec.restartPolicy?.policy ?? 0
  return [
    ['Image', spec.image],
    ['Command', spec.command.join(' ')],
    ['Args', spec.args.join(' ')],
    ['Requests', amounts(requests)],
    ['Limits', amounts(limits)],
    ['Ports', spec.ports.map((p) => `${p.containerPort}/${p.protocol || 'TCP'}`).join(', ')],
    ['Env', Object.keys(spec.env).sort().join(', ')],
    ['Volumes', spec.volumes.map((v) => `${v.name} (${v.source}) at ${v.mountPath}`).join(', ')],
    ['Startup', probe(spec.startupProbe)],
    ['Readiness', probe(spec.readinessProbe)],
    ['Liveness', probe(spec.livenessProbe)],
    ['Restart', policy === 0 ? '' : enumLabel(RestartPolicyKindSchema, policy)],
  ]
}

function probe(check: HealthCheck | undefined): string {
  if (check === undefined) return ''
  const every = formatDurationMs(Number(check.periodMs) || 10_000)
  switch (check.check.case) {
    case 'http':
      return `http ${check.check.value.path || '/'} on ${check.check.value.port} every ${every}`
    case 'tcp':
      return `tcp ${check.check.value.port} every ${every}`
    case 'exec':
      return `exec ${check.check.value.command.join(' ')} every ${every}`
    default:
      return ''
  }
}

function placementFacts({ spec }: Workload): Fact[] {
  const placement = spec?.placement
  if (placement === undefined) return []
  return [
    ['Regions', placement.regions.join(', ')],
    ['Zones', placement.zones.join(', ')],
    ['Node labels', pairs(placement.nodeSelector)],
    [
      'Conditions',
      placement.nodeRequirements
        .map((r) => `${r.key} ${r.operator} ${r.values.join('|')}`.trim())
        .join(', '),
    ],
    ['Spread over', placement.spreadTopology],
    ['Spread', placement.topologySpread.map(spreadText).join(', ')],
    ['Packing', placement.packing],
    ['Weights', weightsText(placement.scoreWeights)],
    [
      'Tolerates',
      placement.tolerations.map((t) => `${t.key || 'every key'}:${t.effect || 'all'}`).join(', '),
    ],
  ]
}

function spreadText({ topologyKey, maxSkew, minDomains, required }: TopologySpread): string {
  const least = minDomains > 0 ? `, at least ${minDomains}` : ''
  return `${topologyKey} by at most ${maxSkew}${least}${required ? '' : ' if possible'}`
}

function weightsText(weights: ScoreWeights | undefined): string {
  if (weights === undefined) return ''
  const { locality, reliability, cost, utilization, networkPenalty } = weights
  const all = { locality, reliability, cost, utilization, 'network penalty': networkPenalty }
  return Object.entries(all)
    .filter(([, weight]) => weight > 0)
    .map(([name, weight]) => `${name} ${weight}`)
    .join(', ')
}

function replicaTable(replicas: readonly ReplicaStatus[], nowMs: number): string {
  if (replicas.length === 0) return 'none\n'
  return formatColumns([
    ['REPLICA', 'NODE', 'STATE', 'READY', 'RESTARTS', 'ADDRESS', 'AGE', 'MESSAGE'],
    ...replicas.map((replica) => [
      replica.id,
      orDash(replica.nodeName || replica.nodeId),
      replicaState(replica),
      replicaReadiness(replica),
      String(replica.restartCount),
      orDash(replicaAddresses(replica)),
      age(replica.createdAtMs, nowMs),
      replicaExplanation(replica),
    ]),
  ])
}
