/** `workload rollout`: how far it is, the revisions there are, and what can be ordered of it. */
import { isService, type Workload } from '@cloudless/api'
import type { Argument, Command, CommandContext } from '../command.ts'
import { UsageError } from '../exit-code.ts'
import { waitOptions } from '../global-options.ts'
import { fetchAll } from '../paging.ts'
import { printChanged, printList, printOne } from '../resources/resource.ts'
import { revisionResource } from '../resources/rollout.ts'
import { workloadResource, workloadTitle } from '../resources/workload.ts'
import { rolloutVerdict, waitUntilRolledOut } from '../wait/wait-until-rolled-out.ts'

const workloadArgument: Argument = {
  name: 'WORKLOAD',
  help: 'Name or id',
  completes: 'workload',
}

interface Order {
  readonly description: string
  readonly example: string
  readonly done: string
  readonly call: (
    context: CommandContext,
    request: { readonly workloadId: string; readonly namespace: string },
  ) => Promise<Workload>
}

/** One that says in a sentence what it did. */
function orderCommand(verb: string, { description, example, done, call }: Order): Command {
  return {
    description,
    examples: [{ title: example, line: `cloudlessctl workload rollout ${verb} web` }],
    arguments: [workloadArgument],
    options: [],
    async run(context, { arguments: [workloadId] }) {
      const { namespace } = context.settings
      const workload = await call(context, { workloadId: workloadId!, namespace })
      const sentence = `rollout of ${workloadTitle(workload)} ${done}`
      await printChanged(context, workloadResource, workload, sentence)
      return 0
    },
  }
}

const status: Command = {
  description:
    'Shows how far the newest rollout is and waits for its end. Ends with 0 when every replica is of the revision\n' +
    'and ready, and with 1 when it failed, was rolled back or took longer than --timeout. With --no-wait it looks once:\n' +
    '0 when it is done, 1 when it goes on or failed.',
  examples: [
    { title: 'Until it is over', line: 'cloudlessctl workload rollout status web' },
    { title: "The same in kubectl's words", line: 'cloudlessctl rollout status web' },
    { title: 'Now', line: 'cloudlessctl workload rollout status web --no-wait' },
  ],
  arguments: [workloadArgument],
  options: [
    { name: 'no-wait', kind: 'flag', help: 'Look once' },
    { name: 'timeout', kind: 'duration', help: 'The longest to wait', default: '30m' },
  ],

  async run(context, { arguments: [workloadId], options }) {
    const { coordinator } = await context.connect()
    const { signal, settings, io } = context
    const request = { workloadId: workloadId!, namespace: settings.namespace }
    const workload = await coordinator.getWorkload(request, { signal })
    requireService(workload)
    if (!options.flag('no-wait')) {
      return await waitUntilRolledOut(context, workload, options.durationMs('timeout')!)
    }
    const expected = workload.status?.rollout?.failedRevision || workload.revision
    const { kind, summary } = rolloutVerdict(workload, expected)
    if (settings.output === 'table' || settings.output === 'wide') io.out(`${summary}\n`)
    else await printOne(context, workloadResource, workload)
    return kind === 'done' ? 0 : 1
  },
}

/** Other types have ways of their own, without phases. */
function requireService(workload: Workload): void {
  if (isService(workload.spec)) return
  throw new UsageError(
    `${workloadTitle(workload)} is no service and has no rollouts: see how far it is with ` +
      `\`cloudlessctl workload status ${workload.name} --wait\``,
  )
}

const history: Command = {
  description:
    'Lists the revisions one can go back to, newest first: when each came, why, and how its rollout ended. With\n' +
    '--revision, what replicas of that one are made from.',
  examples: [
    { title: 'All of them', line: 'cloudlessctl workload rollout history web' },
    {
      title: 'What revision 3 was',
      line: 'cloudlessctl workload rollout history web --revision 3 -o yaml',
    },
  ],
  arguments: [workloadArgument],
  options: [{ name: 'revision', kind: 'integer', value: 'N', help: 'Only this one' }],

  async run(context, { arguments: [workloadId], options }) {
    const { coordinator } = await context.connect()
    const request = { workloadId: workloadId!, namespace: context.settings.namespace }
    const revisions = await fetchAll(
      (page) => coordinator.listRevisions({ ...request, ...page }, { signal: context.signal }),
      (page) => page.revisions,
    )
    const wanted = options.integer('revision')
    if (wanted === undefined) {
      await printList(context, revisionResource, revisions)
      return 0
    }
    const one = revisions.find(({ revision }) => revision === BigInt(wanted))
    if (one === undefined) {
      const there = revisions.map(({ revision }) => revision).join(', ')
      throw new UsageError(`revision ${wanted} is not remembered; there are ${there || 'none'}`)
    }
    await printOne(context, revisionResource, one)
    return 0
  },
}

const undo: Command = {
  description:
    'Goes back to the last revision before it that completed (of a rollout under way: what it came from), or to\n' +
    '--to-revision. Replicas of it that still run are kept as they are. How many replicas there are, and how they are\n' +
    'replaced, stays as it is.',
  examples: [
    { title: 'To the one before', line: 'cloudlessctl workload rollout undo web --wait' },
    { title: 'To revision 3', line: 'cloudlessctl workload rollout undo web --to-revision 3' },
  ],
  arguments: [workloadArgument],
  options: [
    {
      name: 'to-revision',
      kind: 'integer',
      value: 'N',
      help: 'Which; the last earlier one that completed when not given',
    },
    ...waitOptions('every replica is of that revision and ready'),
  ],

  async run(context, { arguments: [workloadId], options }) {
    const toRevision = options.integer('to-revision') ?? 0
    if (toRevision < 0) throw new UsageError('--to-revision must be 1 or more')
    const { coordinator } = await context.connect()
    const { namespace } = context.settings
    const workload = await coordinator.undoRollout(
      { workloadId: workloadId!, namespace, toRevision: BigInt(toRevision) },
      { signal: context.signal },
    )
    const sentence = `${workloadTitle(workload)} goes back to revision ${workload.revision}`
    await printChanged(context, workloadResource, workload, sentence)
    if (!options.flag('wait')) return 0
    return await waitUntilRolledOut(context, workload, options.durationMs('timeout')!)
  },
}

export const rolloutCommands = {
  status,
  history,
  undo,
  pause: orderCommand('pause', {
    description:
      'Replaces nothing further until the rollout is resumed. Replicas that are lost or drained meanwhile are made up\n' +
      'for by others of their own revision.',
    example: 'Stop and look',
    done: 'paused',
    call: async (context, request) => {
      const { coordinator } = await context.connect()
      return coordinator.pauseRollout(request, { signal: context.signal })
    },
  }),
  resume: orderCommand('resume', {
    description: 'Lets a paused rollout go on, or tries one that failed again.',
    example: 'Go on',
    done: 'resumed',
    call: async (context, request) => {
      const { coordinator } = await context.connect()
      return coordinator.resumeRollout(request, { signal: context.signal })
    },
  }),
  promote: orderCommand('promote', {
    description: 'Lets the rest follow the canaries without waiting for their bake time.',
    example: 'The canaries are fine',
    done: 'promoted',
    call: async (context, request) => {
      const { coordinator } = await context.connect()
      return coordinator.promoteRollout(request, { signal: context.signal })
    },
  }),
} as const satisfies Readonly<Record<string, Command>>
