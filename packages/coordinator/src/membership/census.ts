/** How many nodes are there and how many seem to be going: what tells a mass loss from the loss of a few. Pure. */
import { suspicionNow, type Liveness } from './liveness.ts'

export interface Census {
  /** Heard of as promptly as ever. */
  readonly present: number
  /** Not lost yet, but silent beyond what is usual, or with a connection that was reset. */
  readonly silent: number
  /** Lost lately, and not because they said that they would go. */
  readonly lost: number
}

/** As long a silence is one in a hundred of a node that is there. */
const suspicionOfSilent = 2
/** Nodes that are awaited after our start have one deadline; nearer to it than this they are not expected back. */
const absentLeftMs = 1_000
/** Those that went within this time went together. */
export const goneTogetherMs = 10_000

/** `nowMs`: by the clock of liveness, less what we may be late ourselves. */
export function takeCensus(
  nodes: Iterable<{ readonly liveness: Liveness }>,
  nowMs: number,
): Census {
  const census = { present: 0, silent: 0, lost: 0 }
  for (const { liveness } of nodes) {
    const standing = standingOf(liveness, nowMs)
    if (standing !== undefined) census[standing]++
  }
  return census
}

/** Undefined of one that left, or went long ago. */
function standingOf(liveness: Liveness, nowMs: number): keyof Census | undefined {
  switch (liveness.kind) {
    case 'connected':
      return suspicionNow(liveness, nowMs) >= suspicionOfSilent ? 'silent' : 'present'
    case 'reset':
      return 'silent'
    case 'absent':
      return liveness.deadlineMs - nowMs <= absentLeftMs ? 'silent' : 'present'
    case 'leaving':
      return undefined
    case 'lost': {
      const isRecent = nowMs - liveness.lostAtMs <= goneTogetherMs
      return isRecent && liveness.cause !== 'goodbye' ? 'lost' : undefined
    }
  }
}
