/** Collaborators that keep quiet, for tests. */
import type { AgentLogger } from '../logger.ts'
import type { ReplicaMetrics } from '../replica/replica-actor.ts'

/** Remembers what was said. */
export class QuietLogger implements AgentLogger {
  readonly said: string[] = []
  debug(_fields: object, message: string): void {
    this.said.push(message)
  }
  info(_fields: object, message: string): void {
    this.said.push(message)
  }
  warn(_fields: object, message: string): void {
    this.said.push(message)
  }
  error(_fields: object, message: string): void {
    this.said.push(message)
  }
}

export const quietMetrics: ReplicaMetrics = {
  probed: () => {},
  restarted: () => {},
  restartRefused: () => {},
  operation: () => {},
  forgotten: () => {},
}
