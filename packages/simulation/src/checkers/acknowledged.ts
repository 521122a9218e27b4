/** Invariant 4: what a user was told is stored is there after every crash. */
import type { Checker, CheckerDeps } from './checker.ts'

export interface Acknowledged {
  /** The user's call about the workload was answered with this version of it. */
  workload(workloadId: string, modRevision: number): void
  /** A deletion was asked for; from now on it may be gone. */
  deleting(workloadId: string): void
}

export function acknowledgedChecker({ fail }: CheckerDeps): Checker & Acknowledged {
  const versions = new Map<string, number>()
  return {
    name: 'acknowledged writes',
    workload(workloadId, modRevision) {
      versions.set(workloadId, Math.max(modRevision, versions.get(workloadId) ?? 0))
    },
    deleting(workloadId) {
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
