/** What is committed together with a create so that its answer can be given again; made by the idempotency of calls. */
import type { Precondition, Write } from '@cloudless/metadata'

export interface Remember<Answer> {
  readonly preconditions: readonly Precondition[]
  writes(answer: Answer): readonly Write[]
}

/** For a call without an idempotency key. */
export const rememberNothing: Remember<unknown> = { preconditions: [], writes: () => [] }
