/** One event: as it is told, as it is kept, and as bytes. Field for field the Event of the contract. */
import { redact, redactText } from '../redaction.ts'
import type { Context } from '../context.ts'
import { severityOf, type EventSeverity, type EventType } from './event-types.ts'

/** What the teller knows; the rest comes from the type, the clock and the current context. */
export interface EventDraft {
  readonly type: EventType
  /** Such as "node", "workload", "replica", "token". */
  readonly resourceType: string
  readonly resourceId: string
  /** Empty when not given: of no namespace. */
  readonly namespace?: string
  /** One word; the part of the type after the dot when not given. */
  readonly action?: string
  /** One sentence for people. */
  readonly description: string
  /** Small facts for machines; never secrets. */
  readonly metadata?: Readonly<Record<string, string>>
  /** What went wrong; makes it an event without success. */
  readonly error?: string
  /** The type's own when not given. */
  readonly severity?: EventSeverity
}

export interface ClusterEvent {
  readonly sequence: number
  readonly type: EventType
  readonly severity: EventSeverity
  /** Unix milliseconds. */
  readonly timestampMs: number
  readonly requestId: string
  readonly correlationId: string
  readonly actorType: 'user' | 'system' | 'node'
  readonly actorId: string
  readonly resourceType: string
  readonly resourceId: string
  readonly namespace: string
  readonly action: string
  readonly description: string
  readonly metadata: Readonly<Record<string, string>>
  readonly success: boolean
  readonly error: string
}

export type UnnumberedEvent = Omit<ClusterEvent, 'sequence'>

const recordVersion = 1

/** Without an actor in the context it is the system's own doing, by `systemId`. */
export function completeEvent(
  draft: EventDraft,
  context: Context,
  { timestampMs, systemId }: { readonly timestampMs: number; readonly systemId: string },
): UnnumberedEvent {
  const actor = context.actor ?? { type: 'system', id: systemId }
  return {
    type: draft.type,
    severity: draft.severity ?? severityOf(draft.type),
    timestampMs,
    requestId: context.requestId ?? '',
    correlationId: context.correlationId ?? '',
    actorType: actor.type,
    actorId: actor.id,
    resourceType: draft.resourceType,
    resourceId: draft.resourceId,
    namespace: draft.namespace ?? '',
    action: draft.action ?? draft.type.slice(draft.type.indexOf('.') + 1),
    description: redactText(draft.description),
    metadata: redact(draft.metadata ?? {}) as Record<string, string>,
    success: draft.error === undefined,
    error: redactText(draft.error ?? ''),
  }
}

export function encodeEvent(event: ClusterEvent): Uint8Array {
  return Buffer.from(JSON.stringify({ version: recordVersion, ...event }))
}

/** Undefined when the bytes are not an event this program can read. */
export function decodeEvent(bytes: Uint8Array): ClusterEvent | undefined {
  try {
    const { version, ...event } = JSON.parse(Buffer.from(bytes).toString()) as ClusterEvent & {
      readonly version: number
    }
    return version === recordVersion && typeof event.sequence === 'number' ? event : undefined
  } catch {
    return undefined // The caller says which record it was.
  }
}
