/** `workload explain`: why each replica is where it is, or where those of a manifest would go, and why not elsewhere. */
import {
  ExplainWorkloadResponseSchema,
  ScheduleResponseSchema,
  type NodeVerdict,
  type ScheduleDecision,
  type Workload,
} from '@cloudless/api'
import { counted } from '@cloudless/base'
import type { Command, CommandContext } from '../command.ts'
import { UsageError } from '../exit-code.ts'
import { fileOptions } from '../manifest-files.ts'
import { encode, messageToJson } from '../output/encode.ts'
import { indented } from '../output/sheet.ts'
import { verdictTable } from '../output/verdict-table.ts'
import { workloadTitle } from '../resources/workload.ts'

export const workloadExplain: Command = {
  description:
    'For each replica: one sentence, then every node with its score or the reason it was refused. The score is the\n' +
    'sum of its terms, each from 0 to 100 times the weight in its title, cut to 0 to 1; the star is where the replica\n' +
    'is. IN PLACE counts replicas of the workload in the same place: the fewest come before the score. Verdicts are of\n' +
    'this moment, as if the replica had no place yet.\n\n' +
    'With -f, of manifests that need not be applied: where their replicas would go, together, beside everything\n' +
    'that runs (replicas of a workload of the same name included). Nothing is changed. -o wide shows what each term\n' +
    'adds to the score.',
  examples: [
    { title: 'Why is it there, or nowhere?', line: 'cloudlessctl workload explain web' },
    { title: 'One replica of many', line: 'cloudlessctl explain web --replica abcdefgh' },
    {
      title: 'Where would it go, and why not elsewhere?',
      line: 'cloudlessctl workload explain -f examples/workloads/simple-web.yaml',
    },
    {
      title: 'Reasons of what waits, in a script',
      line: "cloudlessctl workload explain web -o json | jq -r '.replicas[].summary'",
    },
  ],
  arguments: [{ name: 'WORKLOAD', help: 'Name or id', optional: true, completes: 'workload' }],
  options: [
    ...fileOptions,
    { name: 'replica', kind: 'text', value: 'REPLICA', help: 'This one: its id or the end of it' },
  ],

  async run(context, { arguments: [name], options }) {
    const files = options.list('file')
    if ((name === undefined) === (files.length === 0)) {
      throw new UsageError('name a workload, or a manifest with -f')
    }
    if (name !== undefined) return await explainOne(context, name, options.text('replica') ?? '')
    if (options.has('replica')) throw new UsageError('--replica needs the name of a workload')
    const { readManifests } = await import('../manifests.ts')
    const documents = await readManifests(context, files, options.flag('recursive'))
    return await tryOut(
      context,
      documents.map(({ workload }) => workload),
    )
  },
}

async function explainOne(
  context: CommandContext,
  workloadId: string,
  replicaId: string,
): Promise<number> {
  const { coordinator } = await context.connect()
  const { namespace, output } = context.settings
  const answer = await coordinator.explainWorkload(
    { workloadId, namespace, replicaId },
    { signal: context.signal },
  )
  const { replicas } = answer
  if (output === 'json' || output === 'yaml') {
    const json = messageToJson(ExplainWorkloadResponseSchema, answer)
    context.io.out(await encode(json, output))
  } else if (output === 'name') {
    context.io.out(replicas.map(({ replica }) => `replica/${replica?.id}\n`).join(''))
  } else if (replicas.length === 0) {
    context.io.out(`${workloadTitle(answer.workload!)} has no replicas\n`)
  } else {
    const texts = replicas.map(({ replica, summary, verdicts }) =>
      explanation(context, replica?.id ?? '', summary, verdicts),
    )
    context.io.out(texts.join('\n'))
  }
  return 0
}

/** Each manifest by itself, as if it alone were applied. */
async function tryOut(context: CommandContext, workloads: readonly Workload[]): Promise<number> {
  const { coordinator } = await context.connect()
  const { output } = context.settings
  const answers = []
  for (const workload of workloads) {
    const request = { workload, dryRun: true, explain: true }
    const answer = await coordinator.schedule(request, { signal: context.signal })
    answers.push({ workload, answer })
  }
  if (output === 'json' || output === 'yaml') {
    const items = answers.map(({ answer }) => messageToJson(ScheduleResponseSchema, answer))
    context.io.out(await encode(items.length === 1 ? items[0]! : { items }, output))
    return 0
  }
  const texts = answers.map(({ workload, answer: { decisions } }) =>
    output === 'name'
      ? decisions.map(({ replicaId }) => `replica/${replicaId}\n`).join('')
      : trial(context, workload, decisions),
  )
  context.io.out(texts.join(output === 'name' ? '' : '\n'))
  return 0
}

function trial(
  context: CommandContext,
  workload: Workload,
  decisions: readonly ScheduleDecision[],
): string {
  const waiting = decisions.filter(({ nodeId }) => nodeId === '').length
  const all = `${workloadTitle(workload)}: ${counted(decisions.length, 'replica')}`
  const outcome = waiting === 0 ? 'all have a place' : `${waiting} would wait`
  const texts = decisions.map(({ replicaId, summary, verdicts }) =>
    explanation(context, replicaId, summary, verdicts),
  )
  return [`${all}, ${outcome}\n`, ...texts].join('\n')
}

function explanation(
  context: CommandContext,
  replicaId: string,
  summary: string,
  verdicts: readonly NodeVerdict[],
): string {
  const { output, headers } = context.settings
  const sentence = `${replicaId} ${summary}`.trim()
  if (verdicts.length === 0) return `${sentence}\n`
  const table = verdictTable(verdicts, { wide: output === 'wide', headers })
  return `${sentence}\n${indented(table)}`
}
