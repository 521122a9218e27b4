/** `workload update`: from a manifest, or a few fields of what is there. */
import { clone } from '@bufbuild/protobuf'
import { WorkloadSchema, type Workload, type WorkloadSpec } from '@cloudless/api'
import { CloudlessError, randomId } from '@cloudless/base'
import type { Command, CommandContext, CommandInput } from '../command.ts'
import { UsageError } from '../exit-code.ts'
import { dryRunOption, waitOptions } from '../global-options.ts'
import { fileOptions } from '../manifest-files.ts'
import { printChanged } from '../resources/resource.ts'
import { workloadResource, workloadTitle } from '../resources/workload.ts'
import { waitUntilReady } from '../wait/wait-until-ready.ts'

export const workloadUpdate: Command = {
  description:
    'Changes a workload that exists. With flags, only what they name changes, and the update is refused when\n' +
    "somebody else changed the workload in between. Replicas are replaced as the workload's rollout strategy says.",
  examples: [
    { title: 'A new image', line: 'cloudlessctl workload update web --image nginx:1.26 --wait' },
    {
      title: 'A variable more, another less',
      line: 'cloudlessctl workload update web --env MODE=fast --remove-env OLD',
    },
    { title: 'From a manifest', line: 'cloudlessctl workload update -f web.yaml' },
  ],
  arguments: [{ name: 'WORKLOAD', help: 'Name or id', optional: true, completes: 'workload' }],
  options: [
    ...fileOptions,
    { name: 'image', kind: 'text', value: 'IMAGE', help: 'Image to run from now on' },
    { name: 'env', short: 'e', kind: 'pairs', help: 'Environment variable to set' },
    { name: 'remove-env', kind: 'list', value: 'KEY', help: 'Environment variable to remove' },
    { name: 'replicas', kind: 'integer', help: 'How many' },
    { name: 'label', kind: 'pairs', help: 'Label to set' },
    dryRunOption,
    ...waitOptions('every replica is ready'),
  ],

  async run(context, input) {
    const { options } = input
    const workloads = options.has('file')
      ? await fromManifests(context, input)
      : [await fromFlags(context, input)]
    const dryRun = options.flag('dry-run')
    const { coordinator } = await context.connect()
    const updated: Workload[] = []
    for (const workload of workloads) {
      const stored = await coordinator.updateWorkload(
        { workload, dryRun, idempotencyKey: dryRun ? '' : randomId(context.random, 24) },
        { signal: context.signal },
      )
      updated.push(stored)
      const sentence = `${workloadTitle(stored)} updated${dryRun ? ' (dry run)' : ''}`
      await printChanged(context, workloadResource, stored, sentence)
    }
    if (!options.flag('wait') || dryRun) return 0
    return await waitUntilReady(context, updated, options.durationMs('timeout')!)
  },
}

async function fromManifests(context: CommandContext, input: CommandInput): Promise<Workload[]> {
  if (input.arguments.length > 0)
    throw new UsageError('give a manifest with -f, or a name and flags, not both')
  const { readManifests } = await import('../manifests.ts')
  const { options } = input
  const documents = await readManifests(context, options.list('file'), options.flag('recursive'))
  return documents.map(({ workload }) => workload)
}

/** What is stored with the changes of the flags; its resource_version makes a lost update impossible. */
async function fromFlags(context: CommandContext, input: CommandInput): Promise<Workload> {
  const [workloadId] = input.arguments
  const { options } = input
  if (workloadId === undefined) throw new UsageError('name a workload, or a manifest with -f')
  const changes = ['image', 'env', 'remove-env', 'replicas', 'label']
  if (!changes.some((name) => options.has(name))) {
    throw new UsageError(`say what to change: ${changes.map((name) => `--${name}`).join(', ')}`)
  }
  const { coordinator } = await context.connect()
  const stored = await coordinator.getWorkload(
    { workloadId, namespace: context.settings.namespace },
    { signal: context.signal },
  )
  const workload = clone(WorkloadSchema, stored)
  const { spec } = workload
  if (spec === undefined) {
    throw new CloudlessError(
      'internal',
      `the coordinator sent workload ${workloadId} without a spec`,
    )
  }
  spec.image = options.text('image') ?? spec.image
  spec.replicas = replicasOf(spec, options.integer('replicas'))
  Object.assign(spec.env, options.pairs('env'))
  for (const key of options.list('remove-env')) delete spec.env[key]
  Object.assign(workload.labels, options.pairs('label'))
  return workload
}

function replicasOf({ autoscaling, replicas }: WorkloadSpec, asked: number | undefined): number {
  if (asked === undefined || autoscaling === undefined) return asked ?? replicas
  throw new UsageError(
    'the workload is autoscaled, and chooses its number of replicas: change its limits with `workload autoscale`',
  )
}
