/** `cluster members`: every coordinator, and how it is. */
import type { Command } from '../command.ts'
import { coordinatorResource } from '../resources/coordinator.ts'
import { printList } from '../resources/resource.ts'

export const clusterMembers: Command = {
  description:
    'Shows every coordinator: which of them leads, where it is reached, and what is wrong with it. One that does not\n' +
    'answer is shown as far as the others know it.',
  examples: [
    { title: 'Who leads', line: 'cloudlessctl cluster members' },
    { title: 'With the state of the RAFT group', line: 'cloudlessctl cluster members -o wide' },
  ],
  arguments: [],
  options: [],

  async run(context) {
    const { coordinator } = await context.connect()
    const { coordinators } = await coordinator.listCoordinators({}, { signal: context.signal })
    await printList(context, coordinatorResource, coordinators)
    return 0
  },
}
