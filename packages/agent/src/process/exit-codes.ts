/** What the process says by its exit; the texts are in its usage. */
export const exitCodes = {
  ok: 0,
  failed: 1,
  usage: 2,
  refused: 3,
  removed: 4,
  superseded: 5,
} as const
