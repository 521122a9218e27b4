/** What the process tells the shell. Documented in --help and docs/cli.md; scripts rely on it. */
import type { CloudlessError, ErrorCode } from '@cloudless/base'

export const exitCodes = {
  ok: 0,
  failed: 1,
  usage: 2,
  notFound: 3,
  refused: 4,
  unavailable: 5,
  interrupted: 130,
} as const

/** For --help and the reference: each exit code with its meaning. */
export const exitCodeMeanings: readonly (readonly [code: number, meaning: string])[] = [
  [exitCodes.ok, 'done'],
  [exitCodes.failed, 'failed: the request was understood and did not succeed'],
  [exitCodes.usage, 'usage: the command line or the configuration is wrong; nothing was sent'],
  [exitCodes.notFound, 'not found: there is no such node, workload, token, container or file'],
  [exitCodes.refused, 'refused: not authenticated, not permitted, or denied by a policy'],
  [
    exitCodes.unavailable,
    'unavailable: the coordinator (or the node) cannot be reached; try again',
  ],
  [exitCodes.interrupted, 'interrupted with Ctrl-C'],
]

const exitCodeByErrorCode: Partial<Record<ErrorCode, number>> = {
  not_found: exitCodes.notFound,
  unauthenticated: exitCodes.refused,
  permission_denied: exitCodes.refused,
  unavailable: exitCodes.unavailable,
}

export function exitCodeOf(error: CloudlessError | UsageError): number {
  if (error instanceof UsageError) return exitCodes.usage
  return exitCodeByErrorCode[error.code] ?? exitCodes.failed
}

/** The person typed something that cannot be meant; said with the command's usage. */
export class UsageError extends Error {
  override readonly name = 'UsageError'
}
