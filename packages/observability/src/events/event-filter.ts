/** Which events somebody asked for. Pure. */
import type { ClusterEvent } from './cluster-event.ts'
import { eventSeverities, eventTypes } from './event-types.ts'

/** Every condition that is set must hold; an empty list or text is not set. */
export interface EventFilter {
  /** Types, or their first part with a dot and a star: "node.*". */
  readonly types?: readonly string[]
  readonly severities?: readonly string[]
  readonly actorId?: string
  readonly resourceType?: string
  readonly resourceId?: string
  readonly correlationId?: string
  readonly namespace?: string
  /** Unix milliseconds, inclusive. */
  readonly sinceMs?: number
  /** Unix milliseconds, exclusive; 0: no end. */
  readonly untilMs?: number
}

/** Undefined when the filter can match something; otherwise what is wrong with it. */
export function problemWithFilter(filter: EventFilter): string | undefined {
  for (const wanted of filter.types ?? []) {
    if (!eventTypes.some((type) => matchesType(wanted, type))) {
      return `there is no event type ${JSON.stringify(wanted)}; known are ${eventTypes.join(', ')}`
    }
  }
  for (const wanted of filter.severities ?? []) {
    if (!eventSeverities.some((severity) => severity === wanted)) {
      return `there is no severity ${JSON.stringify(wanted)}; use ${eventSeverities.join(', ')}`
    }
  }
  const { sinceMs = 0, untilMs = 0 } = filter
  if (untilMs !== 0 && untilMs <= sinceMs) return 'its end is not after its start'
  return undefined
}

export function matchesFilter(filter: EventFilter, event: ClusterEvent): boolean {
  const { types = [], severities = [], sinceMs = 0, untilMs = 0 } = filter
  return (
    (types.length === 0 || types.some((wanted) => matchesType(wanted, event.type))) &&
    (severities.length === 0 || severities.includes(event.severity)) &&
    matchesText(filter.actorId, event.actorId) &&
    matchesText(filter.resourceType, event.resourceType) &&
    matchesText(filter.resourceId, event.resourceId) &&
    matchesText(filter.correlationId, event.correlationId) &&
    matchesText(filter.namespace, event.namespace) &&
    event.timestampMs >= sinceMs &&
    (untilMs === 0 || event.timestampMs < untilMs)
  )
}

function matchesType(wanted: string, type: string): boolean {
  return wanted.endsWith('.*') ? type.startsWith(wanted.slice(0, -1)) : wanted === type
}

function matchesText(wanted: string | undefined, found: string): boolean {
  return wanted === undefined || wanted === '' || wanted === found
}
