/** What a workload's containers ask of the machine itself. Whether a node gives it is for `hostRefusal` to say. */
import type { HostDemands, SecurityModule } from '@cloudless/base'
import {
  SecurityProfileType,
  type SecurityContext,
  type WorkloadSpec,
} from '../gen/cloudless/v1/workload_pb.ts'

/** Undefined when it asks nothing that a node could refuse. */
export function hostDemandsOf(spec: WorkloadSpec): HostDemands | undefined {
  const { volumes, securityContext: security } = spec
  if (volumes.length === 0 && security === undefined) return undefined
  const demands: HostDemands = {
    privileged: security?.privileged ?? false,
    hostNamespaces: security === undefined ? [] : hostNamespacesOf(security),
    hostPaths: volumes
      .filter(({ source }) => source === 'hostPath')
      .map(({ options }) => options['path'] ?? ''),
    runtimeClass: security?.runtimeClassName ?? '',
    volumeSources: [...new Set(volumes.map(({ source }) => source))],
    seccompProfile: seccompProfileOf(security),
    securityModules: securityModulesOf(security),
  }
  const asks = Object.values(demands).some((asked) =>
    typeof asked === 'boolean' ? asked : asked.length > 0,
  )
  return asks ? demands : undefined
}

function hostNamespacesOf({ hostNetwork, hostPid, hostIpc }: SecurityContext): string[] {
  return [
    ...(hostNetwork ? ["the host's network"] : []),
    ...(hostPid ? ["the host's processes"] : []),
    ...(hostIpc ? ["the host's IPC"] : []),
  ]
}

/** What is privileged runs without a profile, whatever it names. */
function seccompProfileOf(security: SecurityContext | undefined): string {
  const profile = security?.linux?.seccompProfile
  if (security?.privileged || profile?.type !== SecurityProfileType.LOCALHOST) return ''
  return profile.localhostProfile || 'LOCALHOST'
}

function securityModulesOf(security: SecurityContext | undefined): SecurityModule[] {
  const { apparmorProfile, selinuxOptions } = security?.linux ?? {}
  return [
    ...(apparmorProfile?.type === SecurityProfileType.LOCALHOST ? (['apparmor'] as const) : []),
    ...(selinuxOptions === undefined ? [] : (['selinux'] as const)),
  ]
}
