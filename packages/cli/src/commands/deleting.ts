/** What `workload delete` and `delete -f` share. */
import type { CommandContext } from '../command.ts'
import type { Option } from '../option.ts'
import { explainFailure } from '../connection/explain.ts'
import type { Options } from '../options.ts'
import { waitUntilDeleted } from '../wait/wait-until-gone.ts'

export const deleteOptions: readonly Option[] = [
  { name: 'graceful', kind: 'flag', default: 'true', help: 'SIGTERM and a grace before SIGKILL' },
  { name: 'grace', kind: 'duration', help: "Grace of each replica, instead of its spec's" },
  { name: 'ignore-not-found', kind: 'flag', help: 'Do not fail for what is not there' },
  { name: 'wait', kind: 'flag', help: 'Wait until everything is gone, showing progress' },
  { name: 'timeout', kind: 'duration', default: '2m', help: 'The longest to wait' },
]

interface Wanted {
  readonly workloadId: string
  readonly namespace: string
}

/** Resolves with the exit code. */
export async function deleteWorkloads(
  context: CommandContext,
  options: Options,
  wanted: readonly Wanted[],
): Promise<number> {
  const { coordinator } = await context.connect()
  const deleted: Wanted[] = []
  for (const workload of wanted) {
    const request = {
      ...workload,
      graceful: options.flag('graceful'),
      timeoutMs: BigInt(options.durationMs('grace') ?? 0),
    }
    try {
      await coordinator.deleteWorkload(request, { signal: context.signal })
    } catch (reason) {
      const missing = explainFailure(reason).code === 'not_found'
      if (!missing || !options.flag('ignore-not-found')) throw reason
      context.io.out(`workload ${workload.workloadId} was not there\n`)
      continue
    }
    deleted.push(workload)
    context.io.out(`workload ${workload.workloadId} deleted\n`)
  }
  if (!options.flag('wait')) return 0
  for (const workload of deleted) {
    const code = await waitUntilDeleted(context, workload, options.durationMs('timeout')!)
    if (code !== 0) return code
  }
  return 0
}
