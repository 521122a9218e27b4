/** What several checkers must know of replicas, read off their records alone. */
import { ReplicaState, type ReplicaRecord } from '@cloudless/api'
import type { RecordChange } from '@cloudless/coordinator/simulation'
import type { Picture } from './checker.ts'

/** Its node was given up with it. */
export function isLost(replica: ReplicaRecord): boolean {
  return replica.status!.state === ReplicaState.LOST
}

/** The lost replica of the same revision that a new one is made for, if it is: another takes its place when a rollout says so. */
export function lostPredecessor(
  { before, after }: RecordChange<'replica'>,
  picture: Picture,
): ReplicaRecord | undefined {
  if (before !== undefined || after === undefined) return undefined
  const { replaces, revision } = after.status!
  const predecessor = replaces === '' ? undefined : picture.get('replica', replaces)
  const isOfItsRevision = predecessor?.status!.revision === revision
  return predecessor && isOfItsRevision && isLost(predecessor) ? predecessor : undefined
}
