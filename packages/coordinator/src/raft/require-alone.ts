import { CloudlessError } from '@cloudless/base'

/** The reason why a coordinator cannot be the only one. */
export function othersAreLeft(ids: readonly string[]): CloudlessError {
  return new CloudlessError(
    'failed_precondition',
    `there are other coordinators (${ids.join(', ')}): take them out first with \`cloudlessctl cluster remove\``,
  )
}
