/** `workload restart`: every replica new, without an interruption. */
import type { Command } from '../command.ts'
import { waitOptions } from '../global-options.ts'
import { printChanged } from '../resources/resource.ts'
import { workloadResource, workloadTitle } from '../resources/workload.ts'
import { waitUntilReady } from '../wait/wait-until-ready.ts'

export const workloadRestart: Command = {
  description: 'Replaces every replica by a new one, as an update to the same spec would.',
  examples: [{ title: 'And wait for it', line: 'cloudlessctl workload restart web --wait' }],
  arguments: [{ name: 'WORKLOAD', help: 'Name or id', completes: 'workload' }],
  options: [...waitOptions('every replica is ready')],

  async run(context, { arguments: [workloadId], options }) {
    const { coordinator } = await context.connect()
    const workload = await coordinator.restartWorkload(
      { workloadId: workloadId!, namespace: context.settings.namespace },
      { signal: context.signal },
    )
    const sentence = `${workloadTitle(workload)} restarting`
    await printChanged(context, workloadResource, workload, sentence)
    if (!options.flag('wait')) return 0
    return await waitUntilReady(context, [workload], options.durationMs('timeout')!)
  },
}
