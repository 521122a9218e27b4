export { exitCodes } from './exit-code.ts'
export { run, type RunDeps } from './run.ts'
export { type Io, type WindowShape } from './io.ts'
