/** When a member gives back what its database does not use any more. Pure. While it does, it answers nobody. */

export interface DefragmentationInput {
  readonly databaseBytes: number
  readonly databaseBytesInUse: number
  readonly isLeader: boolean
  /** The only member that votes: nobody else could lead in the meantime. */
  readonly isAlone: boolean
  /** Since the last one, or since the start. */
  readonly sinceLastMs: number
}

const databaseBytesMin = 100 * 1024 * 1024
const usedFractionMax = 0.5
const pauseMs = 3_600_000

/** Whether it is worth it by its size, so that it is worth asking who leads. */
export function isDefragmentationDue(
  input: Pick<DefragmentationInput, 'databaseBytes' | 'databaseBytesInUse' | 'sinceLastMs'>,
): boolean {
  return (
    input.sinceLastMs >= pauseMs &&
    input.databaseBytes > databaseBytesMin &&
    input.databaseBytesInUse < usedFractionMax * input.databaseBytes
  )
}

export function mayDefragment(input: DefragmentationInput): boolean {
  return isDefragmentationDue(input) && (!input.isLeader || input.isAlone)
}
