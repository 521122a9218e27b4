/**
 * The checkers that watch a run from its beginning. A new one is added here, and gets a canary of its own: a deliberate
 * bug, put in from outside. What is looked at in the end and now and then, `convergence.ts` and `bounded.ts`, `run-seed.ts`
 * asks for itself.
 */
import type { World } from '../world.ts'
import { acknowledgedChecker } from './acknowledged.ts'
import { capacityChecker } from './capacity.ts'
import { massLossChecker } from './mass-loss.ts'
import { minAvailableChecker } from './min-available.ts'
import type { Observer } from './observer.ts'
import { onePlaceChecker } from './one-place.ts'
import { replacementsChecker } from './replacements.ts'
import { unexpectedErrorsChecker } from './unexpected-errors.ts'
import { verdictsChecker } from './verdicts.ts'

/** Returns the one that must be told what users were told. */
export function addCheckers(
  world: World,
  observer: Observer,
): ReturnType<typeof acknowledgedChecker> {
  observer.add(capacityChecker)
  observer.add(onePlaceChecker)
  observer.add(minAvailableChecker)
  observer.add(replacementsChecker)
  observer.add(massLossChecker(world))
  observer.add(unexpectedErrorsChecker)
  observer.add(verdictsChecker(world))
  return observer.add(acknowledgedChecker)
}
