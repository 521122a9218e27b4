/** `workload suspend` and `workload unsuspend`: whether a cron starts its runs. */
import type { Command } from '../command.ts'
import { printChanged } from '../resources/resource.ts'
import { workloadResource, workloadTitle } from '../resources/workload.ts'

export const workloadSuspend: Command = suspendCommand(true, {
  description:
    'Starts no further runs of a cron until `workload unsuspend`; the job that runs is left alone. A run can still\n' +
    'be started by hand with `workload run`.',
  example: { title: 'No backups today', line: 'cloudlessctl workload suspend backup' },
  done: 'suspended',
})

export const workloadUnsuspend: Command = suspendCommand(false, {
  description:
    'Starts the runs of a cron again. Of those that were missed the newest is made up for, when it is not later\n' +
    'than the starting deadline.',
  example: { title: 'Backups again', line: 'cloudlessctl workload unsuspend backup' },
  done: 'resumed',
})

interface Words {
  readonly description: string
  readonly example: { readonly title: string; readonly line: string }
  readonly done: string
}

function suspendCommand(suspend: boolean, { description, example, done }: Words): Command {
  return {
    description,
    examples: [example],
    arguments: [{ name: 'WORKLOAD', help: 'Name or id of a cron', completes: 'workload' }],
    options: [],

    async run(context, { arguments: [workloadId] }) {
      const { coordinator } = await context.connect()
      const workload = await coordinator.suspendWorkload(
        { workloadId: workloadId!, namespace: context.settings.namespace, suspend },
        { signal: context.signal },
      )
      const sentence = `${workloadTitle(workload)} ${done}`
      await printChanged(context, workloadResource, workload, sentence)
      return 0
    },
  }
}
