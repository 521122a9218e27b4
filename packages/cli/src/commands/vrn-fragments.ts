/** `vrn fragments`: the pieces of capacity that are held for replicas. */
import { FragmentStatus } from '@cloudless/api'
import type { Command } from '../command.ts'
import { fetchAll } from '../paging.ts'
import { fragmentResource } from '../resources/fragment.ts'
import { printList } from '../resources/resource.ts'

const statuses = ['reserved', 'allocated', 'releasing', 'released'] as const

export const vrnFragments: Command = {
  description:
    'A fragment is a piece of a node held for one replica: RESERVED until its container runs, ALLOCATED while it does,\n' +
    'RELEASING when it is being stopped or its node is lost. Those given back (RELEASED) are shown when asked for;\n' +
    'the newest 256 since the coordinator started are remembered. All namespaces, unless -n or a workload is given.',
  examples: [
    { title: 'Everything that is held', line: 'cloudlessctl vrn fragments' },
    { title: 'Of one node', line: 'cloudlessctl vrn fragments --node node-a' },
    {
      title: 'What a workload gave back',
      line: 'cloudlessctl vrn fragments --workload web --status released -o wide',
    },
  ],
  arguments: [],
  options: [
    { name: 'node', kind: 'text', value: 'NODE', help: 'Only on this node', completes: 'node' },
    {
      name: 'workload',
      kind: 'text',
      value: 'WORKLOAD',
      help: 'Only of this workload',
      completes: 'workload',
    },
    {
      name: 'status',
      kind: 'text',
      choices: statuses,
      help: 'Only these; all but released when not given',
    },
  ],

  async run(context, { options }) {
    const { coordinator } = await context.connect()
    const status = options.text('status')?.toUpperCase() as keyof typeof FragmentStatus | undefined
    const workloadId = options.text('workload') ?? ''
    const isInNamespace = workloadId !== '' || options.has('namespace')
    const request = {
      nodeId: options.text('node') ?? '',
      workloadId,
      namespace: isInNamespace ? context.settings.namespace : '',
      status: FragmentStatus[status ?? 'UNSPECIFIED'],
    }
    const fragments = await fetchAll(
      (page) => coordinator.listFragments({ ...request, ...page }, { signal: context.signal }),
      (page) => page.fragments,
    )
    await printList(context, fragmentResource, fragments)
    return 0
  },
}
