/** `workload create`: from flags, or from a manifest that must be new. */
import { create, type MessageInitShape } from '@bufbuild/protobuf'
import {
  insteadOfReplicas,
  WorkloadSchema,
  WorkloadType,
  type Workload,
  type WorkloadSpecSchema,
} from '@cloudless/api'
import { parseBytes, randomId } from '@cloudless/base'
import type { Command, CommandContext, CommandInput } from '../command.ts'
import { UsageError } from '../exit-code.ts'
import { dryRunOption, waitOptions } from '../global-options.ts'
import { fileOptions } from '../manifest-files.ts'
import { parseCpu, parsePort } from '../quantities.ts'
import { printChanged } from '../resources/resource.ts'
import { workloadResource, workloadTitle } from '../resources/workload.ts'
import { waitUntilReady } from '../wait/wait-until-ready.ts'

export const workloadCreate: Command = {
  description:
    'Creates a workload that does not exist yet. Flags cover the common cases; everything else is in manifests\n' +
    '(`cloudlessctl schema`). To create or update, use `apply`.',
  examples: [
    {
      title: 'Three web servers',
      line: 'cloudlessctl workload create web --image nginx:1.25 --replicas 3 --port 80',
    },
    {
      title: 'With limits and a variable',
      line: 'cloudlessctl workload create job --image busybox --env MODE=fast --cpu 250m --memory 64Mi',
    },
    {
      title: 'A job that is tried twice at most',
      line: 'cloudlessctl workload create migrate --type job --image app:2 --command migrate --retries 1 --wait',
    },
    {
      title: 'Every night at three',
      line: 'cloudlessctl workload create backup --type cron --schedule "0 3 * * *" --image backup:1',
    },
    { title: 'From a manifest', line: 'cloudlessctl workload create -f web.yaml --wait' },
  ],
  arguments: [{ name: 'NAME', help: 'Name of the workload; or --name', optional: true }],
  options: [
    ...fileOptions,
    { name: 'name', kind: 'text', value: 'NAME', help: 'Name of the workload' },
    { name: 'image', kind: 'text', value: 'IMAGE', help: 'Image to run' },
    {
      name: 'type',
      kind: 'text',
      value: 'TYPE',
      help: 'service, daemon (one on every node), job or cron',
      default: 'service',
    },
    { name: 'replicas', kind: 'integer', help: 'Of a service: how many; 1 when not given' },
    { name: 'completions', kind: 'integer', help: 'Of a job: how many must end well' },
    { name: 'parallelism', kind: 'integer', help: 'Of a job: how many run at a time' },
    { name: 'retries', kind: 'integer', help: 'Of a job: how many may fail; 6 when not given' },
    {
      name: 'schedule',
      kind: 'text',
      value: 'SCHEDULE',
      help: 'Of a cron: "0 3 * * MON-FRI", or @daily and the like',
    },
    {
      name: 'time-zone',
      kind: 'text',
      value: 'ZONE',
      help: 'Of a cron: such as Europe/Berlin; UTC when not given',
    },
    { name: 'env', short: 'e', kind: 'pairs', help: 'Environment variable; may be repeated' },
    {
      name: 'port',
      short: 'p',
      kind: 'list',
      value: 'PORT',
      help: 'Port it listens on, as 80 or 53/UDP',
    },
    { name: 'cpu', kind: 'text', value: 'CPU', help: 'CPU limit, as 250m or 0.5' },
    { name: 'memory', kind: 'text', value: 'SIZE', help: 'Memory limit, as 64Mi' },
    {
      name: 'command',
      kind: 'list',
      value: 'WORD',
      help: "Replaces the image's command; a word each time",
    },
    { name: 'label', kind: 'pairs', help: 'Label of the workload; may be repeated' },
    dryRunOption,
    ...waitOptions('every replica is ready'),
  ],

  async run(context, input) {
    const { options } = input
    const workloads = options.has('file')
      ? await fromManifests(context, input)
      : [fromFlags(context, input)]
    const { coordinator } = await context.connect()
    const dryRun = options.flag('dry-run')
    const created: Workload[] = []
    for (const workload of workloads) {
      const stored = await coordinator.createWorkload(
        { workload, dryRun, idempotencyKey: dryRun ? '' : randomId(context.random, 24) },
        { signal: context.signal },
      )
      created.push(stored)
      const note = dryRun ? ' would be created (dry run)' : ` created (id ${stored.id})`
      await printChanged(context, workloadResource, stored, `${workloadTitle(stored)}${note}`)
    }
    if (!options.flag('wait') || dryRun) return 0
    return await waitUntilReady(context, created, options.durationMs('timeout')!)
  },
}

async function fromManifests(context: CommandContext, input: CommandInput): Promise<Workload[]> {
  const { options } = input
  if (input.arguments.length > 0 || options.has('image') || options.has('name')) {
    throw new UsageError('give a manifest with -f, or a name and flags, not both')
  }
  const { readManifests } = await import('../manifests.ts')
  const documents = await readManifests(context, options.list('file'), options.flag('recursive'))
  return documents.map(({ workload }) => workload)
}

function fromFlags(context: CommandContext, input: CommandInput): Workload {
  const { options } = input
  const name = input.arguments[0] ?? options.text('name')
  const image = options.text('image')
  if (name === undefined || image === undefined) {
    throw new UsageError('give a name and --image, or a manifest with -f')
  }
  const cpuMillicores = parseCpu('cpu', options.text('cpu'))
  const memoryText = options.text('memory')
  const memoryBytes = memoryText === undefined ? 0 : parseBytes(memoryText)
  if (memoryBytes === undefined) throw new UsageError('--memory must be a size such as 64Mi or 1Gi')
  const limited = cpuMillicores > 0 || memoryBytes > 0
  return create(WorkloadSchema, {
    name,
    namespace: context.settings.namespace,
    labels: { ...options.pairs('label') },
    spec: {
      image,
      ...kindFromFlags(input),
      env: { ...options.pairs('env') },
      command: [...options.list('command')],
      ports: options.list('port').map(parsePort),
      ...(limited
        ? { resources: { limits: { cpuMillicores, memoryBytes: BigInt(memoryBytes) } } }
        : {}),
    },
  })
}

type KindFields = 'type' | 'replicas' | 'job' | 'cron'

const typeByWord: Readonly<Record<string, WorkloadType>> = {
  service: WorkloadType.SERVICE,
  daemon: WorkloadType.DAEMON,
  job: WorkloadType.JOB,
  cron: WorkloadType.CRON,
}

const jobFlags = ['completions', 'parallelism', 'retries'] as const

/** What belongs to another kind is refused by the coordinator, but for what this command fills in by itself. */
function kindFromFlags({
  options,
}: CommandInput): Pick<
  Exclude<MessageInitShape<typeof WorkloadSpecSchema>, undefined>,
  KindFields
> {
  const type = typeByWord[options.text('type')!.toLowerCase()]
  if (type === undefined) {
    throw new UsageError(`--type must be service, daemon, job or cron, not ${options.text('type')}`)
  }
  const replicas = options.integer('replicas')
  if (replicas !== undefined && type !== WorkloadType.SERVICE) {
    throw new UsageError(`--replicas is for services: ${insteadOfReplicas[type]}`)
  }
  const job: Record<string, number> = {}
  for (const flag of jobFlags) {
    const value = options.integer(flag)
    if (value !== undefined) job[flag] = value
  }
  const schedule = options.text('schedule')
  const timeZone = options.text('time-zone') ?? ''
  return {
    type,
    replicas: replicas ?? (type === WorkloadType.SERVICE ? 1 : 0),
    ...(Object.keys(job).length > 0 ? { job } : {}),
    ...(schedule === undefined ? {} : { cron: { schedule, timeZone } }),
  }
}
