/** `cluster promote` and `cluster demote`: from one coordinator to several, and back. */
import { CloudlessError, formatDurationMs, sleep } from '@cloudless/base'
import type { Command, CommandContext } from '../command.ts'

export const clusterPromote: Command = {
  description:
    "Moves the only coordinator's metadata from SQLite into a RAFT group of one, which other coordinators can join. It\n" +
    'is away for some seconds; what runs goes on running, and agents come back by themselves. The SQLite file is kept\n' +
    'under another name. etcd must be installed on its machine.',
  examples: [{ title: 'Then let others join', line: 'cloudlessctl cluster promote' }],
  arguments: [],
  options: [],

  async run(context) {
    const { coordinator } = await context.connect()
    return change(context, 'etcd', () => coordinator.promoteCluster({}, { signal: context.signal }))
  },
}

export const clusterDemote: Command = {
  description:
    "Moves the last coordinator's metadata from its RAFT group back into SQLite, when no other is wanted any more. It is\n" +
    'away for some seconds. The others must have been removed.',
  examples: [{ title: 'Back to one', line: 'cloudlessctl cluster demote' }],
  arguments: [],
  options: [],

  async run(context) {
    const { coordinator } = await context.connect()
    return change(context, 'sqlite', () =>
      coordinator.demoteCluster({}, { signal: context.signal }),
    )
  },
}

const lookMs = 250
const waitMsMax = 120_000

async function change(
  context: CommandContext,
  engine: 'sqlite' | 'etcd',
  ask: () => Promise<unknown>,
): Promise<number> {
  const { clock, signal, io } = context
  const startMs = clock.monotonicMs()
  const { coordinator } = await context.connect()
  const before = await coordinator.getClusterStatus({}, { signal })
  await ask()
  io.err('The coordinator moves its metadata and begins anew ...\n')
  while (clock.monotonicMs() - startMs < waitMsMax) {
    await sleep(clock, lookMs, signal)
    const status = await statusIfThere(context)
    if (status?.metadataEngine === engine) {
      const tookMs = clock.monotonicMs() - startMs
      io.out(`the metadata is in ${engine} now, after ${formatDurationMs(tookMs)}\n`)
      return 0
    }
    if (status !== undefined && status.startedAtMs !== before.startedAtMs) {
      throw new CloudlessError(
        'failed_precondition',
        `the metadata could not be moved and stays in ${status.metadataEngine}: the log of the coordinator says why`,
      )
    }
  }
  throw new CloudlessError(
    'deadline_exceeded',
    `the coordinator is not back after ${formatDurationMs(waitMsMax)}: look at its log`,
  )
}

async function statusIfThere({ connect, signal }: CommandContext) {
  try {
    const { coordinator } = await connect()
    return await coordinator.getClusterStatus({}, { signal })
  } catch (reason) {
    if (signal.aborted) throw reason
    return undefined // Not back yet.
  }
}
