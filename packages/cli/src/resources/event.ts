import { EventSchema, type Event } from '@cloudless/api'
import { instant, orDash, pairs } from './format.ts'
import type { Resource } from './resource.ts'

export const eventResource: Resource<typeof EventSchema> = {
  singular: 'event',
  plural: 'events',
  schema: EventSchema,
  nameOf: (event) => String(event.sequence),
  columns: [
    { title: 'TIME', value: (event) => instant(event.timestampMs) },
    { title: 'SEVERITY', value: (event) => event.severity },
    { title: 'TYPE', value: (event) => event.type },
    { title: 'RESOURCE', value: (event) => `${event.resourceType}/${event.resourceId}` },
    { title: 'DESCRIPTION', value: (event) => event.description || event.error },
    { title: 'SEQUENCE', wide: true, value: (event) => String(event.sequence) },
    { title: 'ACTOR', wide: true, value: actorOf },
    { title: 'CORRELATION', wide: true, value: (event) => orDash(event.correlationId) },
    { title: 'FACTS', wide: true, value: (event) => pairs(event.metadata) },
  ],
}

function actorOf(event: Event): string {
  return event.actorId === '' ? event.actorType : `${event.actorType}/${event.actorId}`
}
