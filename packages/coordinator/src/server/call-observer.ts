/** What metrics, logs and traces learn of each call; the process that starts the server says what becomes of it. */
import type { ErrorCode } from '@cloudless/base'

export interface CallFacts {
  /** Such as "cloudless.api.v1.CoordinatorService". */
  readonly service: string
  /** Such as "CreateWorkload". */
  readonly method: string
  /** "connect", "grpc" or "grpc-web". */
  readonly protocol: string
  readonly clientName: string
  readonly remoteAddress: string
  readonly requestId: string
  readonly correlationId: string
}

export interface CallOutcome {
  /** Undefined when it went well. */
  readonly code: ErrorCode | undefined
  readonly message: string | undefined
  readonly durationMs: number
  /** What was thrown, where the code is "internal": for the log only, never for the caller. */
  readonly reason: unknown
}

export interface CallObserver {
  readonly callStarted?: (facts: CallFacts) => void
  readonly callEnded?: (facts: CallFacts, outcome: CallOutcome) => void
  /** Something outside any call went wrong and was survived. */
  readonly problem?: (message: string, reason: unknown) => void
}
