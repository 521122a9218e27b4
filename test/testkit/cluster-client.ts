/** A client that knows all coordinators, asks the next one when one fails, and can tell what became of a call. */
import { fromConnectError } from '@cloudless/api'
import { sleep, systemClock, systemCodeOf, type ErrorCode } from '@cloudless/base'
import type { ApiClient } from './api-client.ts'

export type Outcome<T> =
  | { readonly kind: 'done'; readonly answer: T }
  /** Surely not done. */
  | { readonly kind: 'refused'; readonly code: ErrorCode; readonly message: string }
  /** Done, or not, or yet to be done. */
  | { readonly kind: 'unknown'; readonly message: string }

export interface CallOptions {
  /** Also after an attempt of unknown outcome: the call reads, or has an idempotency key. */
  readonly repeat: boolean
  readonly signal: AbortSignal
}

export interface ClusterClient {
  call<T>(
    act: (api: ApiClient, call: { readonly timeoutMs: number }) => Promise<T>,
    options: CallOptions,
  ): Promise<Outcome<T>>
}

const attemptMsMax = 2_500
/** Over all attempts. */
const callMsMax = 10_000
const retryMs = 50

/** What a coordinator says when it has not done what it was asked. */
const refusals = new Set<ErrorCode>([
  'invalid_argument',
  'permission_denied',
  'not_found',
  'already_exists',
  'failed_precondition',
  'conflict',
  'resource_exhausted',
])

export function createClusterClient(apis: readonly ApiClient[], first = 0): ClusterClient {
  let turn = first
  return {
    async call(act, { repeat, signal }) {
      const untilMs = systemClock.monotonicMs() + callMsMax
      let unknown: string | undefined
      for (;;) {
        try {
          const api = apis[turn % apis.length]!
          return { kind: 'done', answer: await act(api, { timeoutMs: attemptMsMax }) }
        } catch (reason) {
          const { code, message } = fromConnectError(reason)
          // A refusal may be the answer to what an attempt before did.
          if (refusals.has(code) && unknown === undefined) return { kind: 'refused', code, message }
          if (refusals.has(code)) return { kind: 'unknown', message: `${unknown}; then ${message}` }
          turn++
          if (!wasNeverSent(reason)) unknown = message
          const isOver = signal.aborted || systemClock.monotonicMs() > untilMs
          if (unknown === undefined && isOver) return { kind: 'refused', code, message }
          if (unknown !== undefined && (isOver || !repeat)) {
            return { kind: 'unknown', message: unknown }
          }
          await sleep(systemClock, retryMs)
        }
      }
    },
  }
}

/** Nobody listened, or no way led there. */
function wasNeverSent(reason: unknown): boolean {
  for (let cause = reason; cause instanceof Error; cause = cause.cause) {
    if (neverSent.has(systemCodeOf(cause) ?? '')) return true
  }
  return false
}

const neverSent = new Set(['ECONNREFUSED', 'EHOSTUNREACH', 'ENETUNREACH'])
