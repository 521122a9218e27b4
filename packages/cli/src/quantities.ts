/** Amounts given as flags. */
import { UsageError } from './exit-code.ts'

/** "250m" or "0.5" -> millicores; 0 when not given. */
export function parseCpu(optionName: string, text: string | undefined): number {
  if (text === undefined) return 0
  const [, milli] = /^(\d{1,9})m$/.exec(text) ?? []
  if (milli !== undefined) return Number(milli)
  if (/^\d{1,6}(\.\d+)?$/.test(text)) return Math.round(Number(text) * 1_000)
  throw new UsageError(`--${optionName} must be cores such as 0.5 or 250m, not "${text}"`)
}

/** "80", "53/UDP" or "http=8080". */
export function parsePort(text: string): { name: string; containerPort: number; protocol: string } {
  const [, name, port, protocol] = /^(?:([a-z0-9-]+)=)?(\d{1,5})(?:\/(tcp|udp))?$/i.exec(text) ?? []
  const containerPort = Number(port)
  if (port === undefined || containerPort < 1 || containerPort > 65_535) {
    throw new UsageError(`--port must be a port such as 80, 53/UDP or http=8080, not "${text}"`)
  }
  return { name: name ?? '', containerPort, protocol: (protocol ?? 'TCP').toUpperCase() }
}

/** "0.5", "2": a number that is not negative; undefined when not given. */
export function parseNumber(optionName: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined
  if (/^\d{1,9}(\.\d{1,9})?$/.test(text)) return Number(text)
  throw new UsageError(`--${optionName} must be a number such as 1 or 0.25, not "${text}"`)
}
