/** `simulate drain` and `simulate loss`: what would become of the replicas of nodes, before it happens. */
import {
  SimulateNodesResponseSchema,
  SimulationKind,
  type SimulateNodesResponse,
} from '@cloudless/api'
import { counted } from '@cloudless/base'
import type { Command, CommandContext, CommandInput } from '../command.ts'
import { exitCodes } from '../exit-code.ts'
import type { Option } from '../option.ts'
import { encode, messageToJson } from '../output/encode.ts'
import { printList } from '../resources/resource.ts'
import { fits, simulatedMoveResource } from '../resources/simulated-move.ts'

const nodes = { name: 'NODE', help: 'Name or id', variadic: true, completes: 'node' } as const

const check: Option = {
  name: 'check',
  kind: 'flag',
  help: 'End with 1 when something would not fit, or a workload would fall below its minimum',
}

export const simulateDrain: Command = {
  description:
    'Says for each replica on the nodes which other node would take it, each moved before it stops, and names\n' +
    'what would not fit: a real drain would wait for that. Nothing is changed.',
  examples: [
    { title: 'May I switch it off?', line: 'cloudlessctl simulate drain node-a' },
    {
      title: 'Drain it only when everything fits elsewhere',
      line: 'cloudlessctl simulate drain node-a --check && cloudlessctl node drain node-a',
    },
  ],
  arguments: [nodes],
  options: [check],
  run: (context, input) => simulate(context, input, SimulationKind.DRAIN),
}

export const simulateLoss: Command = {
  description:
    'Says for each replica on the nodes which other node would take its replacement if all of these were lost at\n' +
    'once, what would not fit, and which workloads would have fewer ready replicas than their min_available until\n' +
    'the replacements are ready. Nothing is changed.',
  examples: [
    { title: 'What if the plug is pulled?', line: 'cloudlessctl simulate loss node-a' },
    { title: 'A whole rack', line: 'cloudlessctl simulate loss node-a node-b node-c --check' },
  ],
  arguments: [nodes],
  options: [check],
  run: (context, input) => simulate(context, input, SimulationKind.LOSS),
}

async function simulate(
  context: CommandContext,
  input: CommandInput,
  kind: SimulationKind,
): Promise<number> {
  const { coordinator } = await context.connect()
  const answer = await coordinator.simulateNodes(
    { kind, nodeIds: [...input.arguments] },
    { signal: context.signal },
  )
  const { output } = context.settings
  if (output === 'json' || output === 'yaml') {
    context.io.out(await encode(messageToJson(SimulateNodesResponseSchema, answer), output))
  } else {
    await printList(context, simulatedMoveResource, answer.moves)
    if (output !== 'name') context.io.out(conclusion(answer, kind))
  }
  const isWell = answer.moves.every(fits) && answer.workloadsBelowMinimum.length === 0
  return input.options.flag('check') && !isWell ? exitCodes.failed : exitCodes.ok
}

function conclusion({ moves, workloadsBelowMinimum }: SimulateNodesResponse, kind: SimulationKind) {
  const below =
    workloadsBelowMinimum.length === 0
      ? ''
      : `Below their minimum${kind === SimulationKind.LOSS ? ' for a while' : ''}: ` +
        `${workloadsBelowMinimum.join(', ')}.\n`
  const lost = moves.filter((move) => !fits(move)).length
  if (moves.length === 0) return `${below}Nothing would move.\n`
  if (lost === 0) return `${below}Everything would fit elsewhere.\n`
  return `${below}${lost} of ${counted(moves.length, 'replica')} would not fit anywhere.\n`
}
