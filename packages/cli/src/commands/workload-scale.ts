/** `workload scale`: how many replicas there should be. */
import type { Command } from '../command.ts'
import { UsageError } from '../exit-code.ts'
import { waitOptions } from '../global-options.ts'
import { printChanged } from '../resources/resource.ts'
import { workloadResource, workloadTitle } from '../resources/workload.ts'
import { waitUntilReady } from '../wait/wait-until-ready.ts'

export const workloadScale: Command = {
  description:
    'Changes the number of replicas; 0 stops them all and keeps the workload. One that is autoscaled refuses it: see\n' +
    '`workload autoscale`.',
  examples: [
    { title: 'Five of them', line: 'cloudlessctl workload scale web --replicas 5' },
    { title: 'And wait until they are ready', line: 'cloudlessctl scale web --replicas 5 --wait' },
  ],
  arguments: [{ name: 'WORKLOAD', help: 'Name or id', completes: 'workload' }],
  options: [
    { name: 'replicas', kind: 'integer', help: 'How many; required' },
    ...waitOptions('every replica is ready'),
  ],

  async run(context, { arguments: [workloadId], options }) {
    const replicas = options.integer('replicas')
    if (replicas === undefined || replicas < 0 || replicas > 2_147_483_647) {
      throw new UsageError('say how many with --replicas N, 0 or more')
    }
    const { coordinator } = await context.connect()
    const workload = await coordinator.scaleWorkload(
      { workloadId: workloadId!, replicas, namespace: context.settings.namespace },
      { signal: context.signal },
    )
    const sentence = `${workloadTitle(workload)} scaled to ${replicas}`
    await printChanged(context, workloadResource, workload, sentence)
    if (!options.flag('wait')) return 0
    return await waitUntilReady(context, [workload], options.durationMs('timeout')!)
  },
}
