/** How far below the best score a node is still as good, so that packing decides. */
import type { ReplicaKind } from './model.ts'

const scoreTolerance = 0.05
/**
 * A GPU that nobody can use for want of the CPU beside it is lost, so packing weighs more for those who ask for one. By
 * replays of a public trace: with less, the score spreads them over nodes where every tenth GPU is left over.
 */
const gpuTolerance = 0.15

/** Infinity where scores do not matter. What has wishes about what is near keeps to them as others do. */
export function toleranceOf(kind: ReplicaKind): number {
  if (kind.packing === 'best_fit') return Infinity
  const wishes = [...kind.affinity, ...kind.antiAffinity, ...kind.topologySpread]
  const isWishing = wishes.some(({ required }) => !required)
  return kind.requests.gpuCount > 0 && !isWishing ? gpuTolerance : scoreTolerance
}
