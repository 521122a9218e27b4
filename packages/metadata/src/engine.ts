/** For engines of the store that live in other packages, such as the simulation's: the rules and the watches all share. */
export { LeaseTimers } from './lease-timers.ts'
export { RecentChanges } from './recent-changes.ts'
export {
  endOfPrefix,
  problemWithKey,
  problemWithLimit,
  problemWithPrefix,
  problemWithTransaction,
  requireValid,
} from './rules.ts'
export { copyOf } from './sqlite/packing.ts'
export { createWatch, type HistoryPage } from './watch.ts'
