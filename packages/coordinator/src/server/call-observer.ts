/** What metrics, logs and traces learn of each call; the process that starts the server says what becomes of it. */
import type { Clock, ErrorCode } from '@cloudless/base'
import { fromConnectError } from '@cloudless/api'
import type { ConnectError } from '@connectrpc/connect'
import type { CallContext } from './call-context.ts'
import { statusFor } from './status.ts'

export interface CallFacts {
  /** Such as "cloudless.api.v1.CoordinatorService". */
  readonly service: string
  /** Such as "CreateWorkload". */
  readonly method: string
  readonly clientName: string
  readonly remoteAddress: string
  readonly requestId: string
  readonly correlationId: string
}

export interface CallOutcome {
  /** Undefined when it went well. */
  readonly code: ErrorCode | undefined
  /** What the caller is told; empty when it went well. */
  readonly message: string
  readonly durationMs: number
  /** What was thrown: for the log only, never for the caller. */
  readonly reason: unknown
}

export interface CallObserver {
  readonly callStarted?: (facts: CallFacts) => void
  readonly callEnded?: (facts: CallFacts, outcome: CallOutcome) => void
  /** One message of a stream came or went. */
  readonly streamMessage?: (method: ObservedMethod, direction: 'received' | 'sent') => void
  /** Something outside any call went wrong and was survived. */
  readonly problem?: (message: string, reason: unknown) => void
}

export interface ObservedMethod {
  readonly name: string
  readonly parent: { readonly typeName: string }
}

/** Reports the start; the result reports the end, once, and gives the status to answer with. */
export function createOutcomeReporter(
  deps: { readonly clock: Clock; readonly observer: CallObserver },
  method: ObservedMethod,
  call: CallContext,
): (reason: unknown) => ConnectError | undefined {
  const facts: CallFacts = {
    service: method.parent.typeName,
    method: method.name,
    clientName: call.clientName,
    remoteAddress: call.connection.remoteAddress,
    requestId: call.requestId,
    correlationId: call.correlationId,
  }
  const startedMs = deps.clock.monotonicMs()
  let ended = false
  deps.observer.callStarted?.(facts)
  return (reason) => {
    const status = reason === undefined ? undefined : statusFor(reason)
    if (!ended) {
      ended = true
      const error = status === undefined ? undefined : fromConnectError(status)
      deps.observer.callEnded?.(facts, {
        code: error?.code,
        message: error?.message ?? '',
        durationMs: deps.clock.monotonicMs() - startedMs,
        reason,
      })
    }
    return status
  }
}
