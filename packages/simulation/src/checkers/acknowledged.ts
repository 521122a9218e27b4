/** Invariant 4: what a user was told is stored is there after every crash. */
import type { Checker, CheckerDeps } from './checker.ts'

export interface Acknowledged {
  /** A call about the workload begins; what is returned is to be called with the version it is answered with. */
  asking(workloadId: string): (modRevision: number) => void
  /** A deletion is asked for: from now on it may be gone, whatever was asked before. */
  deleting(workloadId: string): void
}

export function acknowledgedChecker({ fail }: CheckerDeps): Checker & Acknowledged {
  const versions = new Map<string, number>()
  /** How often each was asked to go. */
  const deletions = new Map<string, number>()
  return {
    name: 'acknowledged writes',
    asking(workloadId) {
      const before = deletions.get(workloadId)
      return (modRevision) => {
        if (deletions.get(workloadId) !== before) return
        versions.set(workloadId, Math.max(modRevision, versions.get(workloadId) ?? 0))
      }
    },
    deleting(workloadId) {
      deletions.set(workloadId, (deletions.get(workloadId) ?? 0) + 1)
      versions.delete(workloadId)
    },
    onRestart(picture) {
      for (const [workloadId, modRevision] of versions) {
        const held = picture.held('workload', workloadId)
        if (held === undefined) fail(`workload ${workloadId} was stored and is gone`)
        else if (held.modRevision < modRevision) {
          fail(
            `version ${modRevision} of ${workloadId} was stored and is ${held.modRevision} again`,
          )
        }
      }
    },
  }
}
