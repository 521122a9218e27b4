/** Why an etcd did not start, by how it ended and what it said. Pure. */
import { CloudlessError } from '@cloudless/base'
import type { OutputTail } from './output.ts'

const linesInMessage = 3

/** `failed_precondition` when somebody must act first; `unavailable` when a later attempt may well do. */
export function explainFailedStart(
  outcome: string,
  { lines, wasRemoved }: Pick<OutputTail, 'lines' | 'wasRemoved'>,
  dataDirectory: string,
): CloudlessError {
  const attempt = `starting etcd on ${dataDirectory}`
  const text = lines.join('\n')
  const details = { output: text }
  if (wasRemoved) {
    return new CloudlessError(
      'failed_precondition',
      `${attempt}: this member was removed from its cluster; ` +
        'move the directory away, and let it join anew',
      { details: { ...details, reason: 'removed' } },
    )
  }
  const [, taken] = /listen tcp \S*?([^\s/]+): bind: address already in use/.exec(text) ?? []
  if (taken !== undefined) {
    return new CloudlessError(
      'failed_precondition',
      `${attempt}: ${taken} is in use by another program; ` +
        'stop that one, or give this one another address',
      { details: { ...details, reason: 'address-in-use' } },
    )
  }
  const last = lines.slice(-linesInMessage).join('\n  ')
  return new CloudlessError('unavailable', `${attempt}: ${outcome}; it last said:\n  ${last}`, {
    details,
  })
}
