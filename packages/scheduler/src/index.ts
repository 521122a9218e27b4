export { noResources } from './model.ts'
export type * from './model.ts'
