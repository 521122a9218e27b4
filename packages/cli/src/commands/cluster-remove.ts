/** `cluster remove`: a coordinator that will not come back. */
import type { Command } from '../command.ts'

export const clusterRemove: Command = {
  description:
    'Takes coordinators out of the RAFT group for good. One that is gone is to be removed before another takes its\n' +
    'place: as long as it counts, more of the others are needed for a majority. Its data directory is useless then.',
  examples: [
    { title: 'A machine that is lost', line: 'cloudlessctl cluster remove coordinator-2' },
  ],
  arguments: [{ name: 'COORDINATOR', help: 'Id, as `cluster members` shows it', variadic: true }],
  options: [],

  async run(context, input) {
    const { coordinator } = await context.connect()
    for (const coordinatorId of input.arguments) {
      await coordinator.removeCoordinator({ coordinatorId }, { signal: context.signal })
      context.io.out(`coordinator ${coordinatorId} removed\n`)
    }
    return 0
  },
}
