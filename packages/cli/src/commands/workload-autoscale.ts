/** `workload autoscale`: within which limits the number of replicas follows what they use. */
import { clone, create } from '@bufbuild/protobuf'
import {
  AutoscalingMetricSchema,
  AutoscalingSchema,
  WorkloadSchema,
  type Autoscaling,
  type Workload,
} from '@cloudless/api'
import { CloudlessError, randomId } from '@cloudless/base'
import type { Command, CommandInput } from '../command.ts'
import { UsageError } from '../exit-code.ts'
import { dryRunOption } from '../global-options.ts'
import { printChanged } from '../resources/resource.ts'
import { workloadResource, workloadTitle } from '../resources/workload.ts'

const cpuPercentDefault = 80

export const workloadAutoscale: Command = {
  description:
    'Lets the number of replicas follow what they use, from --min to --max. Only what flags name changes: limits and\n' +
    'targets that were set before stay. The first time --max is needed, and the target is 80 % of the CPU that is asked\n' +
    'for unless a flag says otherwise. Figures of the workload itself and windows are set in its manifest.',
  examples: [
    {
      title: 'From 2 to 10, so that CPUs are used to 70 %',
      line: 'cloudlessctl workload autoscale web --min 2 --max 10 --cpu-percent 70',
    },
    { title: 'A higher limit', line: 'cloudlessctl autoscale web --max 20' },
    { title: 'Keep the number there is now', line: 'cloudlessctl workload autoscale web --off' },
  ],
  arguments: [{ name: 'WORKLOAD', help: 'Name or id', completes: 'workload' }],
  options: [
    { name: 'min', kind: 'integer', help: 'The fewest replicas; 1 when it was never set' },
    { name: 'max', kind: 'integer', help: 'The most replicas' },
    { name: 'cpu-percent', kind: 'integer', help: 'Mean use of CPU to hold, of its request' },
    { name: 'memory-percent', kind: 'integer', help: 'Mean use of memory to hold, of its request' },
    { name: 'off', kind: 'flag', help: 'End autoscaling; the replicas there are now stay' },
    dryRunOption,
  ],

  async run(context, input) {
    const { options } = input
    const dryRun = options.flag('dry-run')
    const { coordinator } = await context.connect()
    const stored = await coordinator.getWorkload(
      { workloadId: input.arguments[0]!, namespace: context.settings.namespace },
      { signal: context.signal },
    )
    const updated = await coordinator.updateWorkload(
      {
        // Its resource_version makes a lost update impossible.
        workload: autoscaled(stored, input),
        dryRun,
        idempotencyKey: dryRun ? '' : randomId(context.random, 24),
      },
      { signal: context.signal },
    )
    const sentence = `${workloadTitle(updated)} ${outcomeOf(updated)}${dryRun ? ' (dry run)' : ''}`
    await printChanged(context, workloadResource, updated, sentence)
    return 0
  },
}

function autoscaled(stored: Workload, { options }: CommandInput): Workload {
  const workload = clone(WorkloadSchema, stored)
  const { spec } = workload
  if (spec === undefined) {
    const what = `the coordinator sent workload ${stored.name} without a spec`
    throw new CloudlessError('internal', what)
  }
  const flags = ['min', 'max', 'cpu-percent', 'memory-percent']
  const given = flags.filter((name) => options.has(name))
  if (options.flag('off')) {
    if (given.length > 0) throw new UsageError(`--off ends autoscaling: leave out --${given[0]}`)
    delete spec.autoscaling
    return workload
  }
  if (given.length === 0) {
    throw new UsageError(
      `say what to change: ${flags.map((name) => `--${name}`).join(', ')}, --off`,
    )
  }
  spec.autoscaling = changed(spec.autoscaling, options)
  return workload
}

function changed(before: Autoscaling | undefined, options: CommandInput['options']): Autoscaling {
  const autoscaling = before ?? create(AutoscalingSchema)
  const maxReplicas = options.integer('max') ?? autoscaling.maxReplicas
  if (maxReplicas === 0) throw new UsageError('say how many it may become with --max N')
  autoscaling.maxReplicas = maxReplicas
  autoscaling.minReplicas = options.integer('min') ?? autoscaling.minReplicas
  for (const type of ['cpu', 'memory'] as const) {
    const targetPercent = options.integer(`${type}-percent`)
    if (targetPercent === undefined) continue
    const known = autoscaling.metrics.find((metric) => metric.type === type)
    if (known) known.targetPercent = targetPercent
    else autoscaling.metrics.push(create(AutoscalingMetricSchema, { type, targetPercent }))
  }
  if (autoscaling.metrics.length === 0) {
    const byCpu = { type: 'cpu', targetPercent: cpuPercentDefault }
    autoscaling.metrics.push(create(AutoscalingMetricSchema, byCpu))
  }
  return autoscaling
}

function outcomeOf({ spec }: Workload): string {
  const { autoscaling, replicas } = spec ?? {}
  if (autoscaling === undefined) return `is not autoscaled any more, and stays at ${replicas}`
  const { minReplicas, maxReplicas } = autoscaling
  return `is autoscaled from ${minReplicas || 1} to ${maxReplicas}, and now at ${replicas}`
}
