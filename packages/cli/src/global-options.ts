/** Options every verb takes, before or after its name. */
import type { Option } from './option.ts'

export const outputFormats = ['table', 'wide', 'json', 'yaml', 'name'] as const

export type OutputFormat = (typeof outputFormats)[number]

export const globalOptions: readonly Option[] = [
  {
    name: 'output',
    short: 'o',
    kind: 'text',
    value: 'FORMAT',
    choices: outputFormats,
    help: 'How to print',
    default: 'table',
  },
  { name: 'no-headers', kind: 'flag', help: 'Leave out the header, the borders and the total' },
  {
    name: 'namespace',
    short: 'n',
    kind: 'text',
    value: 'NAME',
    help: "Namespace of workloads; the context's, or default",
  },
  { name: 'context', kind: 'text', value: 'NAME', help: 'Context of the configuration to use' },
  { name: 'config', kind: 'text', value: 'FILE', help: 'Configuration file', completes: 'file' },
  {
    name: 'coordinator',
    kind: 'text',
    value: 'HOST:PORT',
    help: 'Coordinator to talk to; several, separated by commas, are tried in turn',
  },
  { name: 'ca-file', kind: 'text', value: 'FILE', help: "The cluster's CA certificate (PEM)" },
  { name: 'cert-file', kind: 'text', value: 'FILE', help: 'Your certificate (PEM)' },
  { name: 'key-file', kind: 'text', value: 'FILE', help: 'Your private key (PEM)' },
  {
    name: 'request-timeout',
    kind: 'duration',
    help: 'The longest a single call may take',
    default: '30s',
  },
  { name: 'verbose', short: 'v', kind: 'flag', help: 'Show request ids and causes with errors' },
  { name: 'help', short: 'h', kind: 'flag', help: 'Show help' },
]

/** Of verbs that work in a namespace. */
export const allNamespacesOption: Option = {
  name: 'all-namespaces',
  short: 'A',
  kind: 'flag',
  help: 'All namespaces',
}

export const watchOption: Option = {
  name: 'watch',
  short: 'w',
  kind: 'flag',
  help: 'Go on showing changes until Ctrl-C',
}

export const selectorOption: Option = {
  name: 'labels',
  short: 'l',
  kind: 'pairs',
  help: 'Only those with these labels, all of them',
}

/** --wait and --timeout, with what is waited for. */
export function waitOptions(what: string, timeout = '5m'): readonly Option[] {
  return [
    { name: 'wait', kind: 'flag', help: `Wait until ${what}, showing progress` },
    { name: 'timeout', kind: 'duration', help: 'The longest to wait', default: timeout },
  ]
}

export const dryRunOption: Option = {
  name: 'dry-run',
  kind: 'flag',
  help: 'Have everything checked by the coordinator, and change nothing',
}
