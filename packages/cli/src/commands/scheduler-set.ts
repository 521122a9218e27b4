/** `scheduler set`: changes how nodes are chosen while the cluster runs. */
import type { SchedulerConfiguration } from '@cloudless/api'
import { randomId } from '@cloudless/base'
import type { Command, CommandContext } from '../command.ts'
import type { Connection } from '../connection/connection.ts'
import { UsageError } from '../exit-code.ts'
import type { Option } from '../option.ts'
import type { Options } from '../options.ts'
import { parseNumber } from '../quantities.ts'
import { printConfiguration } from './scheduler-get.ts'

const weightOptions = {
  locality: 'locality',
  reliability: 'reliability',
  cost: 'cost',
  utilization: 'utilization',
  'network-penalty': 'networkPenalty',
} as const

const meanings: Readonly<Record<keyof typeof weightOptions, string>> = {
  locality: 'wanted regions and zones',
  reliability: "a node's record of staying",
  cost: 'fitting the size of the node',
  utilization: 'filling nodes evenly',
  'network-penalty': 'what the network lacks',
}

type WeightField = (typeof weightOptions)[keyof typeof weightOptions]

const weightNames = Object.keys(weightOptions) as (keyof typeof weightOptions)[]

export const schedulerSet: Command = {
  description:
    'Changes what is named and leaves the rest. It works from the next decision on, is kept over restarts of the\n' +
    'coordinator, and moves nothing that has a place. Of the weights only the proportions matter. --reset goes back\n' +
    "to the coordinator's configuration file first. Workloads may say otherwise in their `placement`.",
  examples: [
    {
      title: 'What stays up counts twice as much as anything else',
      line: 'cloudlessctl scheduler set --reliability 0.6',
    },
    {
      title: 'Even load instead of full nodes',
      line: 'cloudlessctl scheduler set --packing spread --spread node',
    },
    {
      title: 'Promise half as much CPU again as there is',
      line: 'cloudlessctl scheduler set --cpu-overcommit 1.5',
    },
    { title: 'Back to the configuration file', line: 'cloudlessctl scheduler set --reset' },
  ],
  arguments: [],
  options: [
    ...weightNames.map((name): Option => ({
      name,
      kind: 'text',
      value: 'N',
      help: `Weight of ${meanings[name]}`,
    })),
    {
      name: 'packing',
      kind: 'text',
      choices: ['binpack', 'best_fit', 'spread'],
      help: 'Among nodes about as good: the fullest, the fullest of all, or the emptiest',
    },
    {
      name: 'spread',
      kind: 'text',
      choices: ['zone', 'region', 'node', 'none'],
      help: 'Keep replicas of a workload apart over these, as far as there is room',
    },
    {
      name: 'cpu-overcommit',
      kind: 'text',
      value: 'N',
      help: 'How many times the CPU there is may be promised, 1 to 10',
    },
    {
      name: 'memory-overcommit',
      kind: 'text',
      value: 'N',
      help: 'How many times the memory there is may be promised, 1 to 10',
    },
    {
      name: 'preemption-above',
      kind: 'integer',
      help: 'Only priorities above this may have replicas stopped to make room',
    },
    { name: 'reset', kind: 'flag', help: 'Back to the configuration file first' },
  ],

  async run(context, { options }) {
    const change = changeOf(options)
    const reset = options.flag('reset')
    const weights = weightsGiven(options)
    const isEmpty = Object.keys(change).length === 0 && Object.keys(weights).length === 0
    if (isEmpty && !reset) throw new UsageError('say what to change, or --reset')
    const { coordinator } = await context.connect()
    // Weights are changed as one: those that are not named are those that hold.
    const base =
      Object.keys(weights).length === 0 ? undefined : await current(context, coordinator, reset)
    const configuration = await coordinator.updateSchedulerConfiguration(
      {
        reset,
        idempotencyKey: randomId(context.random, 24),
        configuration: {
          ...change,
          ...(base && {
            weights: { ...plainWeights(base), ...weights },
            resourceVersion: base.resourceVersion,
          }),
        },
      },
      { signal: context.signal },
    )
    await printConfiguration(context, configuration)
    return 0
  },
}

/** What holds; with a reset, what the file says. */
async function current(
  { signal, random }: CommandContext,
  coordinator: Connection['coordinator'],
  reset: boolean,
): Promise<SchedulerConfiguration> {
  if (reset) {
    const idempotencyKey = randomId(random, 24)
    await coordinator.updateSchedulerConfiguration({ reset, idempotencyKey }, { signal })
  }
  return await coordinator.getSchedulerConfiguration({}, { signal })
}

function plainWeights({ weights }: SchedulerConfiguration): Record<WeightField, number> {
  const { locality, reliability, cost, utilization, networkPenalty } = weights!
  return { locality, reliability, cost, utilization, networkPenalty }
}

function weightsGiven(options: Options): Partial<Record<WeightField, number>> {
  const given = weightNames.flatMap((name) => {
    const value = parseNumber(name, options.text(name))
    return value === undefined ? [] : [[weightOptions[name], value] as const]
  })
  return Object.fromEntries(given)
}

function changeOf(options: Options) {
  const packing = options.text('packing')
  const spreadTopology = options.text('spread')
  const cpuOvercommit = parseNumber('cpu-overcommit', options.text('cpu-overcommit'))
  const memoryOvercommit = parseNumber('memory-overcommit', options.text('memory-overcommit'))
  const preemptionPriorityAbove = options.integer('preemption-above')
  return {
    ...(packing !== undefined && { packing }),
    ...(spreadTopology !== undefined && { spreadTopology }),
    ...(cpuOvercommit !== undefined && { cpuOvercommit }),
    ...(memoryOvercommit !== undefined && { memoryOvercommit }),
    ...(preemptionPriorityAbove !== undefined && { preemptionPriorityAbove }),
  }
}
