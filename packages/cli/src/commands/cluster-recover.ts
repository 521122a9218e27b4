/** `cluster recover`: goes on with the one coordinator that is left. */
import type { Coordinator } from '@cloudless/api'
import { CloudlessError, sleep } from '@cloudless/base'
import type { Command, CommandContext } from '../command.ts'
import { UsageError } from '../exit-code.ts'

const lookMs = 200
const leadMsMax = 60_000

export const clusterRecover: Command = {
  description:
    'Makes the coordinator that answers the only one there is, with all metadata that it has: for when the majority of\n' +
    'the coordinators is lost for good. It leads some seconds later, and others can join it again. What the nodes run\n' +
    'is not touched. What the lost ones had acknowledged in their last moment, and this one had not heard of, is lost.',
  examples: [
    {
      title: 'From the machine that is left',
      line: 'cloudlessctl cluster recover --coordinator 10.0.0.3:8080',
    },
    { title: 'In a script', line: 'cloudlessctl cluster recover --yes' },
  ],
  arguments: [],
  options: [
    { name: 'yes', kind: 'flag', help: 'Do not ask for the id of the cluster' },
    { name: 'force', kind: 'flag', help: 'Also when the RAFT group has a leader' },
  ],

  async run(context, { options }) {
    const { coordinator } = await context.connect()
    const { signal } = context
    const found = await coordinator.describeCoordinator({}, { signal })
    if (!options.flag('yes')) await confirm(context, found)
    const { removed } = await coordinator.recoverCoordinator(
      { coordinatorId: found.id, clusterId: found.clusterId, force: options.flag('force') },
      { signal, timeoutMs: leadMsMax },
    )
    await untilItLeads(context, found.id)
    context.io.out(`coordinator ${found.id} is the only one now, and leads\n`)
    if (removed.length > 0) {
      context.io.out(
        `no coordinators any more: ${removed.join(', ')}. Before one of them joins again, empty its data directory; ` +
          'then start it with a token from `cloudlessctl token create --for-coordinator`\n',
      )
    }
    return 0
  },
}

async function confirm(
  { io }: CommandContext,
  { id, clusterId, raft }: Coordinator,
): Promise<void> {
  io.err(
    `Coordinator ${id} (RAFT index ${raft?.appliedIndex ?? 0}) becomes the only one of ${clusterId}. All others are left ` +
      'out for good.\n' +
      'Type the id of the cluster to go on: ',
  )
  for await (const chunk of io.input) {
    if (Buffer.from(chunk).toString('utf8').trim() === clusterId) {
      io.closeInput()
      return
    }
    break
  }
  io.err('\n')
  throw new UsageError(`nothing was done: type ${clusterId}, or say --yes`)
}

async function untilItLeads(context: CommandContext, id: string): Promise<void> {
  const { clock, signal } = context
  const untilMs = clock.monotonicMs() + leadMsMax
  for (;;) {
    const { coordinator } = await context.connect()
    const { isLeader } = await coordinator.describeCoordinator({}, { signal })
    if (isLeader) return
    if (clock.monotonicMs() >= untilMs) {
      throw new CloudlessError(
        'deadline_exceeded',
        `coordinator ${id} is the only one now, but does not lead after ${leadMsMax / 1_000} s: see its log`,
      )
    }
    await sleep(clock, lookMs, signal)
  }
}
