/** Headers of a call that are part of the contract. */

/** Of one call; answered back. */
export const requestIdHeader = 'x-request-id'
/** Of everything that belongs to one action of a person, over every process it passes. */
export const correlationIdHeader = 'x-correlation-id'
/** In answers to members, when there are several: where coordinators are reached, "host:port", separated by commas. */
export const coordinatorsHeader = 'x-coordinators'
/** Instead of a create's `idempotency_key`. */
export const idempotencyKeyHeader = 'idempotency-key'
