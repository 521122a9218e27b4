/** Rules for startup, liveness and readiness probes. */
import type { HealthCheck, HttpCheck } from '../gen/cloudless/v1/workload_pb.ts'
import { portRange } from './mounts.ts'
import type { ProblemList } from './problem.ts'

const dayMs = 86_400_000
const thresholdMax = 10_000
const headersMax = 32
const headerName = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/

export function validateProbe(probe: HealthCheck, problems: ProblemList): void {
  switch (probe.check.case) {
    case undefined:
      problems.add('must have one of exec, http and tcp')
      break
    case 'exec':
      if (probe.check.value.command.length === 0) {
        problems.at('exec', 'command').add('must not be empty')
      }
      break
    case 'http':
      validateHttp(probe.check.value, problems.at('http'))
      break
    case 'tcp':
      problems.at('tcp', 'port').integer(probe.check.value.port, portRange)
  }
  problems.at('initialDelayMs').integer(probe.initialDelayMs ?? 0n, { min: 0, max: dayMs })
  for (const name of ['periodMs', 'timeoutMs'] as const) {
    problems.at(name).integer(probe[name], { min: 0, max: dayMs })
  }
  for (const name of ['successThreshold', 'failureThreshold'] as const) {
    problems.at(name).integer(probe[name], { min: 0, max: thresholdMax })
  }
}

function validateHttp(check: HttpCheck, problems: ProblemList): void {
  problems.at('port').integer(check.port, portRange)
  problems.at('scheme').oneOf(check.scheme, ['', 'HTTP', 'HTTPS'])
  if (check.path !== '' && !/^\/[\x21-\x7e]*$/.test(check.path)) {
    problems.at('path').add('must start with "/" and have no spaces or control characters')
  }
  if (check.headers.length > headersMax) {
    problems.at('headers').add(`must have at most ${headersMax} elements`)
  }
  for (const [index, header] of check.headers.slice(0, headersMax).entries()) {
    const at = problems.at('headers', index)
    if (!headerName.test(header.name)) at.at('name').add('must be the name of an HTTP header')
    if (/[\r\n\0]/.test(header.value)) at.at('value').add('must be one line')
  }
}
