/** What controllers report as failed must be the world's failure and never a bug of ours. */
import { CloudlessError, type ErrorCode } from '@cloudless/base'
import type { Checker, CheckerDeps } from './checker.ts'

/** A store that is slow, full, gone or contended. */
const worldly: readonly ErrorCode[] = [
  'unavailable',
  'resource_exhausted',
  'conflict',
  'deadline_exceeded',
  'cancelled',
]

export function unexpectedErrorsChecker({ fail }: CheckerDeps): Checker {
  return {
    name: 'no errors of our own',
    onSaid(what, args) {
      if (what !== 'error' && what !== 'schedulingFailed') return
      const reason = args.at(-1)
      if (reason instanceof CloudlessError && worldly.includes(reason.code)) return
      const detail = reason instanceof Error ? (reason.stack ?? reason.message) : String(reason)
      fail(`${args.slice(0, -1).join(' ')}: ${detail}`)
    },
  }
}
