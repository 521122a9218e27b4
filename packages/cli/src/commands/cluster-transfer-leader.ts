/** `cluster transfer-leader`: lets another coordinator lead, before this one is taken down. */
import { CloudlessError, sleep } from '@cloudless/base'
import type { Command, CommandContext } from '../command.ts'

const lookMs = 100
const waitMsMax = 15_000

export const clusterTransferLeader: Command = {
  description:
    'Lets another coordinator lead, and waits until it does. No workload is touched. A leader that is stopped with\n' +
    'SIGTERM does the same by itself.',
  examples: [
    { title: 'To any that is well', line: 'cloudlessctl cluster transfer-leader' },
    { title: 'To one', line: 'cloudlessctl cluster transfer-leader coordinator-2' },
  ],
  arguments: [{ name: 'COORDINATOR', help: 'Id of the one that is to lead', optional: true }],
  options: [],

  async run(context, input) {
    const { coordinator } = await context.connect()
    const asked = { coordinatorId: input.arguments[0] ?? '' }
    const { coordinatorId } = await coordinator.transferLeadership(asked, {
      signal: context.signal,
    })
    const leader = await newLeader(context, coordinatorId)
    context.io.out(`coordinator ${leader} leads\n`)
    return 0
  },
}

async function newLeader(context: CommandContext, expected: string): Promise<string> {
  const { clock, signal } = context
  const untilMs = clock.monotonicMs() + waitMsMax
  for (;;) {
    const { coordinator } = await context.connect()
    try {
      const { coordinators } = await coordinator.listCoordinators({}, { signal })
      const leader = coordinators.find(({ isLeader }) => isLeader)
      if (leader?.id === expected) return expected
    } catch (reason) {
      if (CloudlessError.from(reason).code === 'cancelled') throw reason
    }
    if (clock.monotonicMs() >= untilMs) {
      throw new CloudlessError(
        'deadline_exceeded',
        `"${expected}" did not take over the lead within ${waitMsMax / 1_000} s`,
      )
    }
    await sleep(clock, lookMs, signal)
  }
}
