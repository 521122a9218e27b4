export { Agent, type AgentDeps, type AgentOptions } from './agent.ts'
