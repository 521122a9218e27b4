/** `cluster health`: whether the next failure can be borne, for people and for scripts. */
import type { Coordinator } from '@cloudless/api'
import { counted } from '@cloudless/base'
import type { Command } from '../command.ts'

export const clusterHealth: Command = {
  description:
    'Says whether the coordinators are well, and how many of them may fail before the cluster can decide nothing.\n' +
    'What runs on the nodes goes on in any case. Exit code 1 when something is wrong.',
  examples: [
    {
      title: 'Before an upgrade',
      line: 'cloudlessctl cluster health',
    },
  ],
  arguments: [],
  options: [],

  async run(context) {
    const { coordinator } = await context.connect()
    const { coordinators } = await coordinator.listCoordinators({}, { signal: context.signal })
    const troubled = coordinators.filter(({ problem }) => problem !== '')
    for (const { id, problem } of troubled) context.io.out(`${id}: ${problem}\n`)
    context.io.out(`${verdictOf(coordinators, troubled.length)}\n`)
    return troubled.length === 0 ? 0 : 1
  },
}

function verdictOf(all: readonly Coordinator[], troubled: number): string {
  const voters = all.filter(({ raft }) => raft?.member?.isLearner !== true)
  const majority = Math.floor(voters.length / 2) + 1
  const spare = voters.length - troubled - majority
  const well = `${all.length - troubled} of ${counted(all.length, 'coordinator')} ${all.length - troubled === 1 ? 'is' : 'are'} well`
  if (all.length === 1) return `${well}; when it fails, nothing is decided until it is back`
  if (spare > 0) return `${well}; ${counted(spare, 'more')} may fail`
  return `${well}; when one more fails, nothing is decided until one is back`
}
