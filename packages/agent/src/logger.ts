/** Structured logging as the agent uses it; pino's loggers fit. */
export interface AgentLogger {
  debug(fields: object, message: string): void
  info(fields: object, message: string): void
  warn(fields: object, message: string): void
  error(fields: object, message: string): void
}
