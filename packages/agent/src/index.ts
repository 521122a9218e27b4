export { Agent } from './agent.ts'
export type { AgentDeps, AgentOptions } from './agent-options.ts'
