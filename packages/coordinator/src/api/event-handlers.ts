/** CoordinatorService's calls about events. */
import { create } from '@bufbuild/protobuf'
import {
  EventSchema,
  ListEventsResponseSchema,
  type Event,
  type EventFilter as EventFilterMessage,
  type ListEventsRequest,
  type WatchEventsRequest,
} from '@cloudless/api'
import { CloudlessError } from '@cloudless/base'
import type { ClusterEvent, EventFilter, EventLog } from '@cloudless/observability'
import type { Call } from './call.ts'

const tailMax = 10_000

export function eventHandlers(events: EventLog) {
  return {
    async listEvents(request: ListEventsRequest) {
      const { limit, continueToken } = request
      const page = await events.list(filterOf(request.filter), { limit, continueToken })
      return create(ListEventsResponseSchema, {
        events: page.events.map(messageOfEvent),
        nextToken: page.nextToken,
        total: page.total,
      })
    },

    async *watchEvents(request: WatchEventsRequest, call: Call) {
      if (request.tail < 0 || request.tail > tailMax) {
        throw new CloudlessError('invalid_argument', `tail: must be 0 to ${tailMax}`)
      }
      const watched = events.watch(filterOf(request.filter), {
        tail: request.tail,
        afterSequence: Number(request.afterSequence),
        signal: call.signal,
      })
      for await (const event of watched) yield messageOfEvent(event)
    },
  }
}

function filterOf(filter: EventFilterMessage | undefined): EventFilter {
  if (!filter) return {}
  const { $typeName: _, $unknown: __, sinceMs, untilMs, ...rest } = filter
  return { ...rest, sinceMs: Number(sinceMs), untilMs: Number(untilMs) }
}

function messageOfEvent(event: ClusterEvent): Event {
  const { sequence, timestampMs, ...rest } = event
  return create(EventSchema, {
    ...rest,
    id: String(sequence),
    sequence: BigInt(sequence),
    timestampMs: BigInt(timestampMs),
  })
}
