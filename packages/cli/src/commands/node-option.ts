/** --node for the verbs that ask one agent. */
import type { Option } from '../option.ts'
import { UsageError } from '../exit-code.ts'
import type { Options } from '../options.ts'

export const nodeOption: Option = {
  name: 'node',
  kind: 'text',
  value: 'NODE',
  help: 'Name or id of the node; required',
  completes: 'node',
}

export function requiredNode(options: Options): string {
  const nodeId = options.text('node')
  if (nodeId === undefined || nodeId === '') {
    throw new UsageError('name the node with --node; `cloudlessctl node list` shows them')
  }
  return nodeId
}
