/** `apply`: makes the cluster what the manifests say. */
import { ApplyOutcome, type Workload } from '@cloudless/api'
import { randomId } from '@cloudless/base'
import type { Command, CommandContext } from '../command.ts'
import { dryRunOption, waitOptions } from '../global-options.ts'
import { fileOptions } from '../manifest-files.ts'
import { readManifests } from '../manifests.ts'
import { printList } from '../resources/resource.ts'
import { workloadResource, workloadTitle } from '../resources/workload.ts'
import { waitUntilReady } from '../wait/wait-until-ready.ts'

export const apply: Command = {
  description:
    'Creates each workload that is missing, updates each that differs, and leaves the others alone. All manifests\n' +
    'are read and checked before anything is sent.',
  examples: [
    { title: 'One file', line: 'cloudlessctl apply -f examples/workloads/simple-web.yaml' },
    {
      title: 'A directory and all below, waiting until everything is ready',
      line: 'cloudlessctl apply -f manifests/ -R --wait',
    },
    { title: 'From another program', line: 'generate-manifests | cloudlessctl apply -f -' },
    { title: 'Only check', line: 'cloudlessctl apply -f web.yaml --dry-run' },
  ],
  arguments: [],
  options: [...fileOptions, dryRunOption, ...waitOptions('every replica is ready')],

  async run(context, { options }) {
    const dryRun = options.flag('dry-run')
    const documents = await readManifests(context, options.list('file'), options.flag('recursive'))
    const applied: Workload[] = []
    for (const { workload } of documents) {
      applied.push(await applyOne(context, workload, dryRun))
    }
    if (isForMachines(context)) await printList(context, workloadResource, applied)
    if (!options.flag('wait') || dryRun) return 0
    return await waitUntilReady(context, applied, options.durationMs('timeout')!)
  },
}

async function applyOne(
  context: CommandContext,
  workload: Workload,
  dryRun: boolean,
): Promise<Workload> {
  const { coordinator } = await context.connect()
  const answer = await coordinator.applyWorkload(
    { workload, dryRun, idempotencyKey: dryRun ? '' : randomId(context.random, 24) },
    { signal: context.signal },
  )
  const stored = answer.workload ?? workload
  if (!isForMachines(context)) {
    const note = dryRun ? ' (dry run)' : ''
    context.io.out(`${workloadTitle(stored)} ${outcomeWord(answer.outcome)}${note}\n`)
  }
  return stored
}

function isForMachines(context: CommandContext): boolean {
  return !['table', 'wide'].includes(context.settings.output)
}

function outcomeWord(outcome: ApplyOutcome): string {
  switch (outcome) {
    case ApplyOutcome.CREATED:
      return 'created'
    case ApplyOutcome.UNCHANGED:
      return 'unchanged'
    default:
      return 'configured'
  }
}
