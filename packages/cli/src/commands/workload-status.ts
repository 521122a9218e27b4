/** `workload status`: how far a workload is. */
import { WatchKind } from '@cloudless/api'
import { CloudlessError } from '@cloudless/base'
import type { Command } from '../command.ts'
import { waitOptions } from '../global-options.ts'
import { printOne } from '../resources/resource.ts'
import { rolloutSentence } from '../resources/rollout.ts'
import { workloadResource, workloadStatus } from '../resources/workload.ts'
import { readinessOf } from '../wait/readiness.ts'
import { waitUntilReady } from '../wait/wait-until-ready.ts'

export const workloadStatusCommand: Command = {
  description:
    'Prints how many replicas are ready and why the others are not. Ends with 0 when the workload is as asked\n' +
    'for and with 1 when it is not; with --wait only when it has become so, has failed, or time is up.',
  examples: [
    { title: 'Now', line: 'cloudlessctl workload status web' },
    { title: 'In a script', line: 'cloudlessctl workload status web --wait --timeout 2m' },
  ],
  arguments: [{ name: 'WORKLOAD', help: 'Name or id', completes: 'workload' }],
  options: [...waitOptions('every replica is ready')],

  async run(context, { arguments: [workloadId], options }) {
    const { coordinator } = await context.connect()
    const { signal, settings, io } = context
    const request = { workloadId: workloadId!, namespace: settings.namespace }
    if (options.flag('wait')) {
      const workload = await coordinator.getWorkload(request, { signal })
      return await waitUntilReady(context, [workload], options.durationMs('timeout')!)
    }
    // A watch of one workload fills in its replicas; its first message is what we want.
    const once = new AbortController()
    const watching = { signal: AbortSignal.any([signal, once.signal]), timeoutMs: 0 }
    for await (const { kind, workload } of coordinator.watchWorkloads(request, watching)) {
      if (kind === WatchKind.SYNCED || workload === undefined) break
      const readiness = readinessOf(workload)
      if (settings.output === 'table' || settings.output === 'wide') {
        io.out(`${readiness.summary} (${workloadStatus(workload)})\n`)
        const rollout = rolloutSentence(workload)
        if (rollout !== '') io.out(`rollout: ${rollout}\n`)
        for (const line of readiness.replicaLines) io.out(`${line}\n`)
      } else await printOne(context, workloadResource, workload)
      once.abort(new Error('one look was enough'))
      return readiness.kind === 'ready' ? 0 : 1
    }
    throw new CloudlessError('not_found', `there is no workload "${workloadId}".`)
  },
}
