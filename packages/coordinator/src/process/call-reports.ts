/** Figures, log lines and security events of the calls this coordinator serves. */
import { toConnectError } from '@cloudless/api'
import { CloudlessError, type ErrorCode } from '@cloudless/base'
import {
  runWithContext,
  statusNameOf,
  type CoordinatorMetrics,
  type EventLog,
  type Logger,
} from '@cloudless/observability'
import { actorOf } from './actor.ts'
import type { CallFacts, CallObserver } from '../server/call-observer.ts'

export interface CallReportsDeps {
  readonly logger: Logger
  readonly metrics: CoordinatorMetrics
  readonly events: EventLog
}

const eventByRefusal: Partial<Record<ErrorCode, 'security.auth_failed' | 'security.authz_denied'>> =
  { unauthenticated: 'security.auth_failed', permission_denied: 'security.authz_denied' }

export function createCallObserver(deps: CallReportsDeps): CallObserver {
  const logger = deps.logger.child('api')
  return {
    callEnded(facts, outcome) {
      const method = `${facts.service}/${facts.method}`
      const error =
        outcome.code === undefined ? undefined : new CloudlessError(outcome.code, outcome.message)
      const status = statusNameOf(error && toConnectError(error))
      deps.metrics.grpc.requests.increment({ method, code: status })
      deps.metrics.grpc.durationSeconds.observe({ method }, outcome.durationMs / 1_000)
      runWithContext(idsOf(facts), () => {
        const fields = {
          method,
          status,
          client: facts.clientName,
          durationMs: Math.round(outcome.durationMs * 10) / 10,
          ...(error && { error: outcome.message }),
        }
        if (outcome.code === 'internal') {
          logger.error({ ...fields, reason: outcome.reason }, 'call failed')
        } else logger[outcome.code === undefined ? 'debug' : 'info'](fields, 'call ended')
        refused(deps.events, facts, outcome)
      })
    },
    problem: (message, reason) => logger.warn({ error: reason }, message),
  }
}

/** Refusals are part of the audit; enrolments tell their own. */
function refused(
  events: EventLog,
  facts: CallFacts,
  outcome: { readonly code: ErrorCode | undefined; readonly message: string },
): void {
  const type = outcome.code && eventByRefusal[outcome.code]
  if (type === undefined || facts.method === 'EnrollNode') return
  events.append({
    type,
    resourceType: 'call',
    resourceId: `${facts.service}/${facts.method}`,
    description: `${facts.clientName} from ${facts.remoteAddress} was refused`,
    error: outcome.message,
  })
}

function idsOf(facts: CallFacts) {
  return {
    requestId: facts.requestId,
    correlationId: facts.correlationId,
    actor: actorOf(facts.clientName),
  }
}
