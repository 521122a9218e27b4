/** Failure detection: a node that nothing happened to, on a link that nothing happened to, is not given up as lost. */
import { NodePhase } from '@cloudless/api'
import type { RecordChange } from '@cloudless/coordinator/simulation'
import type { World } from '../world.ts'
import type { Checker, CheckerDeps } from './checker.ts'

/** What follows from a disturbance is over. */
const quietMsMin = 60_000
/** A link that nothing was done to may still be bad by nature. */
const lossShareMax = 0.01

export function verdictsChecker(world: World): (deps: CheckerDeps) => Checker {
  return ({ fail }) => ({
    name: 'no false verdict',
    onChanges(changes) {
      for (const change of changes) {
        if (change.kind !== 'node') continue
        const { id, before, after } = change as RecordChange<'node'>
        const phase = after?.node!.status!.phase
        if (phase !== NodePhase.OFFLINE || before?.node!.status!.phase === phase) continue
        const node = world.nodes.get(id)
        if (node === undefined || !node.isUp || node.link.quality.lossShare > lossShareMax) continue
        const quietMs = Math.min(
          node.disturbance.quietMs,
          node.link.disturbance.quietMs,
          world.coordinator.disturbance.quietMs,
        )
        if (quietMs < quietMsMin) continue
        const { message } = after!.node!.status!
        fail(`${node.name} was given up ("${message}") though nothing was the matter with it`)
      }
    },
  })
}
