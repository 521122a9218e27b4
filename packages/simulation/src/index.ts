export { runSeeds, type RunOptions, type RunSummary } from './run-seeds.ts'
