/** Rules for the security context. What is allowed is policy's; here is only what makes sense. */
import { problemWithLabel } from '@cloudless/base'
import {
  SecurityProfileType,
  type LinuxSecurity,
  type SecurityContext,
  type SecurityProfile,
} from '../gen/cloudless/v1/workload_pb.ts'
import { quoted, type ProblemList } from './problem.ts'

const idRange = { min: 0, max: 2 ** 31 - 1 }

export function validateSecurity(security: SecurityContext, problems: ProblemList): void {
  problems.at('runAsUser').integer(security.runAsUser ?? 0n, idRange)
  problems.at('runAsGroup').integer(security.runAsGroup ?? 0n, idRange)
  if (security.runAsNonRoot && security.runAsUser === 0n) {
    problems.at('runAsUser').add('must not be 0 together with runAsNonRoot')
  }
  for (const name of ['capabilitiesAdd', 'capabilitiesDrop'] as const) {
    for (const [index, capability] of security[name].entries()) {
      problems.at(name, index).addIf(problemWithCapability(capability))
    }
  }
  if (security.runtimeClassName !== '') {
    problems.at('runtimeClassName').addIf(problemWithLabel(security.runtimeClassName))
  }
  if (security.linux !== undefined) validateLinux(security.linux, problems.at('linux'))
}

function problemWithCapability(capability: string): string | undefined {
  if (capability.startsWith('CAP_')) return `must be written without "CAP_": ${capability.slice(4)}`
  if (/^[A-Z][A-Z_]{1,31}$/.test(capability)) return undefined
  return `must be a capability such as NET_BIND_SERVICE, not ${quoted(capability)}`
}

function validateLinux(linux: LinuxSecurity, problems: ProblemList): void {
  for (const name of ['seccompProfile', 'apparmorProfile'] as const) {
    const profile = linux[name]
    if (profile !== undefined) validateProfile(profile, problems.at(name))
  }
  for (const [index, group] of linux.supplementalGroups.entries()) {
    problems.at('supplementalGroups', index).integer(group, idRange)
  }
  problems.at('fsGroup').integer(linux.fsGroup ?? 0n, idRange)
  for (const name of Object.keys(linux.sysctls)) {
    if (!/^[a-z0-9_-]+(?:\.[a-z0-9_-]+)+$/.test(name)) {
      problems.at('sysctls', name).add('must be a name such as "net.core.somaxconn"')
    }
  }
}

function validateProfile(profile: SecurityProfile, problems: ProblemList): void {
  const isLocal = profile.type === SecurityProfileType.LOCALHOST
  if (profile.type === SecurityProfileType.UNSPECIFIED) {
    problems.at('type').add('must be UNCONFINED, RUNTIME_DEFAULT or LOCALHOST')
  }
  if (isLocal && profile.localhostProfile === '') {
    problems.at('localhostProfile').add('must name a profile for LOCALHOST')
  }
  if (!isLocal && profile.localhostProfile !== '') {
    problems.at('localhostProfile').add('must be empty, except for LOCALHOST')
  }
}
