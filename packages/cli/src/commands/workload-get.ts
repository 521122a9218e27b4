/** `workload get`: workloads by name or id. */
import type { Command } from '../command.ts'
import { printList, printOne } from '../resources/resource.ts'
import { workloadResource } from '../resources/workload.ts'

export const workloadGet: Command = {
  description:
    'Shows the workloads named, by name (in the namespace) or id. -o json and yaml print everything there is,\n' +
    'with the status of every replica.',
  examples: [
    { title: 'Everything about a workload', line: 'cloudlessctl workload get web -o yaml' },
    {
      title: 'How many replicas are ready, in a script',
      line: 'cloudlessctl workload get web -o json | jq .status.readyReplicas',
    },
  ],
  arguments: [{ name: 'WORKLOAD', help: 'Name or id', variadic: true, completes: 'workload' }],
  options: [],

  async run(context, input) {
    const { coordinator } = await context.connect()
    const { namespace } = context.settings
    const workloads = await Promise.all(
      input.arguments.map((workloadId) =>
        coordinator.getWorkload({ workloadId, namespace }, { signal: context.signal }),
      ),
    )
    if (workloads.length === 1) await printOne(context, workloadResource, workloads[0]!)
    else await printList(context, workloadResource, workloads)
    return 0
  },
}
