/** `workload list`: what should run, and how much of it does. */
import type { WatchWorkloadsResponse, Workload } from '@cloudless/api'
import type { Command } from '../command.ts'
import { allNamespacesOption, selectorOption, watchOption } from '../global-options.ts'
import { fetchAll } from '../paging.ts'
import { printList } from '../resources/resource.ts'
import { workloadResource } from '../resources/workload.ts'
import { watchList, type Change } from '../watch-list.ts'
import { namespaceForList } from './namespaces.ts'

export const workloadList: Command = {
  description: 'Shows the workloads of the namespace, or of all namespaces with -A.',
  examples: [
    { title: 'All of them', line: 'cloudlessctl workload list -A' },
    {
      title: 'Those with a label, as they change',
      line: 'cloudlessctl get workloads -l app=web --watch',
    },
  ],
  arguments: [],
  options: [allNamespacesOption, selectorOption, watchOption],

  async run(context, input) {
    const { coordinator } = await context.connect()
    const filter = {
      namespace: namespaceForList(context, input),
      labelSelector: { ...input.options.pairs('labels') },
    }
    if (input.options.flag('watch')) {
      await watchList(
        context,
        workloadResource,
        (signal) => workloadChanges(coordinator.watchWorkloads(filter, { signal, timeoutMs: 0 })),
        (workload) => workload.id,
      )
      return 0
    }
    const workloads = await fetchAll(
      (page) => coordinator.listWorkloads({ ...filter, ...page }, { signal: context.signal }),
      (page) => page.workloads,
    )
    await printList(context, workloadResource, workloads)
    return 0
  },
}

async function* workloadChanges(
  stream: AsyncIterable<WatchWorkloadsResponse>,
): AsyncGenerator<Change<Workload>> {
  for await (const { kind, workload } of stream) yield { kind, item: workload }
}
