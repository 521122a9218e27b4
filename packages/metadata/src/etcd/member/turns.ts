/** Members that all want to restart take turns by the clock on the wall, so that never two are away together. Pure. */

export interface TurnInput {
  /** Unix milliseconds. */
  readonly wallMs: number
  /** From 0. */
  readonly turn: number
  readonly turns: number
}

/** Longer than a restart takes, and than clocks differ. */
const turnMs = 15_000

/** Until the next turn of this member begins; one that is alone need not wait. */
export function delayToTurn({ wallMs, turn, turns }: TurnInput): number {
  if (turns <= 1) return 0
  const roundMs = turns * turnMs
  return (((turn * turnMs - wallMs) % roundMs) + roundMs) % roundMs
}
