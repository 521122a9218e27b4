export { addResources, fits, lackingResource, subtractResources } from './capacity.ts'
export { describeRejections } from './filter.ts'
export { labelOf, meetsRequirement } from './labels.ts'
export { noResources } from './model.ts'
export type * from './model.ts'
export {
  explain,
  schedule,
  type Explanation,
  type ScheduleOptions,
  type SchedulePhase,
} from './schedule.ts'
export { defaultWeights, normaliseWeights } from './score.ts'
export { tolerates } from './tolerations.ts'
