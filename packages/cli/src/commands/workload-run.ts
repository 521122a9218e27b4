/** `workload run`: a run of a cron, now. */
import { randomId } from '@cloudless/base'
import type { Command } from '../command.ts'
import { waitOptions } from '../global-options.ts'
import { printChanged } from '../resources/resource.ts'
import { workloadResource, workloadTitle } from '../resources/workload.ts'
import { waitUntilReady } from '../wait/wait-until-ready.ts'

export const workloadRun: Command = {
  description:
    'Starts a run of a cron now, as a job of its own, whatever its schedule says and also while it is suspended.\n' +
    'With --wait it ends with 0 when the job is complete and with 1 when it failed.',
  examples: [
    { title: 'Back up now, and wait for it', line: 'cloudlessctl workload run backup --wait' },
  ],
  arguments: [{ name: 'WORKLOAD', help: 'Name or id of a cron', completes: 'workload' }],
  options: [...waitOptions('the job is complete', '1h')],

  async run(context, { arguments: [workloadId], options }) {
    const { coordinator } = await context.connect()
    const job = await coordinator.runWorkload(
      {
        workloadId: workloadId!,
        namespace: context.settings.namespace,
        idempotencyKey: randomId(context.random, 24),
      },
      { signal: context.signal },
    )
    await printChanged(context, workloadResource, job, `${workloadTitle(job)} created`)
    if (!options.flag('wait')) return 0
    return await waitUntilReady(context, [job], options.durationMs('timeout')!)
  },
}
