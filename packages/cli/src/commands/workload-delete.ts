/** `workload delete`: workloads by name. */
import type { Command } from '../command.ts'
import { deleteOptions, deleteWorkloads } from './deleting.ts'

export const workloadDelete: Command = {
  description:
    'Deletes workloads and stops their replicas: SIGTERM, then SIGKILL when their grace is over. Returns at once;\n' +
    '--wait waits until everything is gone.',
  examples: [
    { title: 'One', line: 'cloudlessctl workload delete web' },
    {
      title: 'Two, waiting until nothing is left',
      line: 'cloudlessctl delete workload web api --wait',
    },
  ],
  arguments: [{ name: 'WORKLOAD', help: 'Name or id', variadic: true, completes: 'workload' }],
  options: deleteOptions,

  async run(context, input) {
    const { namespace } = context.settings
    const wanted = input.arguments.map((workloadId) => ({ workloadId, namespace }))
    return await deleteWorkloads(context, input.options, wanted)
  },
}
