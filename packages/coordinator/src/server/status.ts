/** The status a failure is answered with. */
import { CloudlessError } from '@cloudless/base'
import { fromConnectError, toConnectError } from '@cloudless/api'
import { Code, ConnectError } from '@connectrpc/connect'

/** The status to answer with. What is our own fault is not described to the caller. */
export function statusFor(reason: unknown): ConnectError {
  if (reason instanceof ConnectError && reason.code !== Code.Unknown) return reason
  const error =
    reason instanceof ConnectError ? fromConnectError(reason) : CloudlessError.from(reason)
  const isOurs = reason instanceof CloudlessError
  const told =
    error.code === 'internal' && !isOurs
      ? new CloudlessError('internal', 'the coordinator failed on this request; its log says why', {
          cause: reason,
        })
      : error
  const status = toConnectError(told)
  const retryAfterMs = told.details['retryAfterMs']
  if (typeof retryAfterMs === 'number') {
    status.metadata.set('retry-after', String(Math.ceil(retryAfterMs / 1_000)))
    status.metadata.set('retry-after-ms', String(retryAfterMs))
  }
  return status
}
