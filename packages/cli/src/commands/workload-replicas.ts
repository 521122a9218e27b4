/** `workload replicas`: each replica with its node, state and address. */
import type { Command } from '../command.ts'
import { allNamespacesOption } from '../global-options.ts'
import { fetchAll } from '../paging.ts'
import { replicaResource } from '../resources/replica.ts'
import { printList } from '../resources/resource.ts'
import { namespaceForList } from './namespaces.ts'

export const workloadReplicas: Command = {
  description:
    'Shows the replicas of a workload, or of all workloads, and why those that wait are waiting.',
  examples: [
    { title: 'Of one workload', line: 'cloudlessctl workload replicas web' },
    {
      title: 'Everything that runs on a node',
      line: 'cloudlessctl workload replicas -A --node node-a',
    },
  ],
  arguments: [
    {
      name: 'WORKLOAD',
      help: 'Name or id; all when not given',
      optional: true,
      completes: 'workload',
    },
  ],
  options: [
    allNamespacesOption,
    { name: 'node', kind: 'text', value: 'NODE', help: 'Only on this node', completes: 'node' },
  ],

  async run(context, input) {
    const { coordinator } = await context.connect()
    const request = {
      workloadId: input.arguments[0] ?? '',
      namespace: namespaceForList(context, input),
      nodeId: input.options.text('node') ?? '',
    }
    const replicas = await fetchAll(
      (page) => coordinator.listReplicas({ ...request, ...page }, { signal: context.signal }),
      (page) => page.replicas,
    )
    await printList(context, replicaResource, replicas)
    return 0
  },
}
