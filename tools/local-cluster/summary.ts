/** What `make up` ends with and `make status` shows: nodes, replicas with their URLs, what to type next. */
import type { Ctl } from '@cloudless/test/testkit'
import { sampleWorkload, type ReplicaView } from './cluster.ts'
import { cliConfigOf, type Settings } from './settings.ts'

const sampleContainerPort = 8080

export async function summarize(settings: Settings, ctl: Ctl): Promise<string> {
  const nodes = await ctl.text(['node', 'list'])
  const listed = await ctl.run(['workload', 'replicas', sampleWorkload, '-o', 'json'])
  const replicas =
    listed.code === 0 ? (JSON.parse(listed.stdout) as { items?: ReplicaView[] }).items : []
  const rows = (replicas ?? []).map((replica) => [
    replica.id,
    replica.nodeName ?? '',
    stateOf(replica),
    replica.ready === true && replica.address
      ? `http://${replica.address}:${sampleContainerPort}/`
      : '',
  ])
  return [
    '',
    nodes.trimEnd(),
    '',
    formatColumns([['REPLICA', 'NODE', 'STATE', 'URL'], ...rows]),
    '',
    ...nextSteps(settings, rows.find(([, , , url]) => url !== '')?.[3] ?? ''),
  ].join('\n')
}

function stateOf(replica: ReplicaView): string {
  if (replica.ready === true) return 'Ready'
  return (replica.state ?? '').replace('REPLICA_STATE_', '').toLowerCase()
}

function nextSteps(settings: Settings, url: string): string[] {
  const isDefaultHome = settings.home === `${process.cwd()}/.cloudless`
  const lines = [
    'What to type next:',
    ...(isDefaultHome ? [] : [`  export CLOUDLESS_CONFIG=${cliConfigOf(settings)}`]),
    ...(url === '' ? [] : [`  curl ${url}`]),
    `  bin/cloudlessctl workload describe ${sampleWorkload}`,
    `  bin/cloudlessctl workload scale ${sampleWorkload} --replicas 5 --wait`,
    `  bin/cloudlessctl workload logs ${sampleWorkload} -f`,
    '  bin/cloudlessctl events --watch',
    '  make power-off NODE=agent-2    (or kill -9 anything; `make up` brings back what is missing)',
    '  make down',
  ]
  return lines
}

/** Left-aligned columns, two spaces between. */
export function formatColumns(rows: readonly (readonly string[])[]): string {
  const widths = (rows[0] ?? []).map((_, column) =>
    Math.max(...rows.map((row) => (row[column] ?? '').length)),
  )
  return rows
    .map((row) =>
      row
        .map((cell, column) => cell.padEnd(widths[column]!))
        .join('  ')
        .trimEnd(),
    )
    .join('\n')
}
