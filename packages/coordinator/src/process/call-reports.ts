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
import { policyReason } from './admission.ts'
import type { CallFacts, CallObserver, CallOutcome } from '../server/call-observer.ts'

export interface CallReportsDeps {
  readonly logger: Logger
  readonly metrics: CoordinatorMetrics
  readonly events: EventLog
}

/** Members and addresses remembered. */
const knownMax = 10_000

const eventByRefusal: Partial<Record<ErrorCode, 'security.auth_failed' | 'security.authz_denied'>> =
  { unauthenticated: 'security.auth_failed', permission_denied: 'security.authz_denied' }

export function createCallObserver(deps: CallReportsDeps): CallObserver {
  const logger = deps.logger.child('api')
  const known = new Set<string>()

  /** Once for each member and address since this start: the CLI makes a connection for every command. */
  function admitted({ clientName, remoteAddress }: CallFacts): void {
    const client = `${clientName} from ${remoteAddress}`
    if (clientName.startsWith('address/') || known.has(client)) return
    for (const oldest of known) {
      if (known.size < knownMax) break
      known.delete(oldest)
    }
    known.add(client)
    deps.events.append({
      type: 'security.auth_success',
      resourceType: 'identity',
      resourceId: clientName,
      description: `${client} proved who it is`,
    })
  }

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
        if (outcome.code === undefined) admitted(facts)
        else refused(deps.events, facts, outcome)
      })
    },
    streamMessage({ name, parent }, direction) {
      const { messagesReceived, messagesSent } = deps.metrics.grpc
      const counter = direction === 'received' ? messagesReceived : messagesSent
      counter.increment({ method: `${parent.typeName}/${name}` })
    },
    problem: (message, reason) => logger.warn({ error: reason }, message),
  }
}

/** Refusals are part of the audit; enrolments and the rules for workloads tell their own. */
function refused(events: EventLog, facts: CallFacts, outcome: CallOutcome): void {
  const type = outcome.code && eventByRefusal[outcome.code]
  if (type === undefined || facts.method === 'EnrollNode') return
  const { reason } = outcome
  if (reason instanceof CloudlessError && reason.details['reason'] === policyReason) return
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
