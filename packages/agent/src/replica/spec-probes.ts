/** What a spec's probes mean for a replica. Pure. */
import type { HealthCheck, WorkloadSpec } from '@cloudless/api'

export function hasProbes(spec: WorkloadSpec): boolean {
  return isSet(spec.startupProbe) || isSet(spec.livenessProbe) || isSet(spec.readinessProbe)
}

/** It is not ready until a probe has passed. */
export function gatesReadiness(spec: WorkloadSpec | undefined): boolean {
  return isSet(spec?.startupProbe) || isSet(spec?.readinessProbe)
}

export function withoutProbes(spec: WorkloadSpec): WorkloadSpec {
  const bare = { ...spec }
  delete bare.startupProbe
  delete bare.livenessProbe
  delete bare.readinessProbe
  return bare
}

function isSet(probe: HealthCheck | undefined): boolean {
  return probe?.check.case !== undefined
}
