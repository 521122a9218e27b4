/** What a replica is told from outside, in whatever stage it is. */
import { WorkloadType } from '@cloudless/api'
import { cancel, held, linger, pull, remove, same, stopContainer } from './replica-moves.ts'
import { graceMsOf, type Now, type ReplicaMachine, type ReplicaStep } from './replica-state.ts'

export function replace(
  state: ReplicaMachine,
  assignment: ReplicaMachine['assignment'],
): ReplicaStep {
  if (bound(state)) return same(state)
  const fresh = { crashesInRow: 0, pullFailuresInRow: 0, suspended: false }
  const next = { ...state, assignment, ...fresh }
  switch (state.stage) {
    case 'new':
      return same(next)
    case 'pulling':
      return cancel(next, 'start', [{ kind: 'cancel-pull' }])
    case 'starting':
      return cancel(next, 'start', [])
    case 'running':
      return stopContainer({ ...next, reason: 'Updating', message: 'its spec changed' }, 'start')
    case 'cancelling':
    case 'stopping':
      return same({ ...next, aftermath: 'start' })
    default:
      return pull(next)
  }
}

/** An attempt of a job whose end has been told: nobody would expect it to run again. */
export function isOver({ stage, assignment }: ReplicaMachine): boolean {
  const hasEnded = stage === 'failed' || stage === 'succeeded'
  return hasEnded && assignment.spec?.type === WorkloadType.JOB
}

export function restart(state: ReplicaMachine, graceMs: number | undefined): ReplicaStep {
  if (isOver(state)) return same(state)
  if (state.stage === 'waiting' || state.stage === 'failed' || state.stage === 'succeeded') {
    return pull({ ...state, crashesInRow: 0, pullFailuresInRow: 0 })
  }
  if (state.stage !== 'running') return same(state)
  const next = { ...state, graceMs, reason: 'Restarting', message: 'restarted by hand' }
  return stopContainer({ ...next, lastEnd: undefined }, 'apply-policy')
}

export function stop(
  state: ReplicaMachine,
  order: { readonly graceMs: number | undefined; readonly delayMs?: number },
  now: Now,
): ReplicaStep {
  const { graceMs, delayMs = 0 } = order
  const next = { ...state, graceMs, ready: false }
  switch (state.stage) {
    case 'pulling':
      return cancel(next, 'remove', [{ kind: 'cancel-pull' }])
    case 'starting':
      return cancel(next, 'remove', [])
    case 'running':
      // What is not ready has no clients to wait for.
      if (state.ready && delayMs > 0) return linger(next, delayMs, now)
      return stopContainer({ ...next, reason: '', message: '' }, 'remove')
    case 'lingering':
      // Said again it goes on; said without a delay, or with less grace, it is urgent now.
      if (delayMs > 0 && graceMsOf(next) >= graceMsOf(state)) return same(state)
      return stopContainer(next, 'remove')
    case 'cancelling':
      return same({ ...next, aftermath: 'remove' })
    case 'stopping':
      return stopSooner(state, next)
    case 'removing':
      return same(next)
    default:
      return remove(next)
  }
}

/** The stop under way becomes one that removes; it is hurried when it is now to be over sooner. */
function stopSooner(state: ReplicaMachine, asked: ReplicaMachine): ReplicaStep {
  const graceMs = graceMsOf(asked)
  if (graceMs >= graceMsOf(state)) return same({ ...state, aftermath: 'remove' })
  return { state: { ...asked, aftermath: 'remove' }, effects: [{ kind: 'hurry', graceMs }] }
}

export function halt(state: ReplicaMachine, graceMs: number | undefined): ReplicaStep {
  const next = { ...state, graceMs }
  switch (state.stage) {
    case 'pulling':
      return cancel(next, 'hold', [{ kind: 'cancel-pull' }])
    case 'starting':
      return cancel(next, 'hold', [])
    case 'running':
      return stopContainer({ ...next, reason: 'Stopped', message: 'stopped by hand' }, 'hold')
    case 'new':
    case 'waiting':
      return held(state)
    default:
      return same(state)
  }
}

/** On its way out: a new spec cannot bring it back. */
function bound(state: ReplicaMachine): boolean {
  if (state.stage === 'removing' || state.stage === 'lingering') return true
  const leaving = state.stage === 'cancelling' || state.stage === 'stopping'
  return leaving && state.aftermath === 'remove'
}
