/** What this node lets containers have of the machine: the policy that is reported, and that every start is held to. */
import { hostDemandsOf, type WorkloadSpec } from '@cloudless/api'
import {
  CloudlessError,
  hostRefusal,
  type ErrorCode,
  type HostDemands,
  type HostPolicy,
} from '@cloudless/base'
import type { ResolvedOptions } from '../options.ts'
import { volumeSources } from './mounts.ts'

export function hostPolicyOf(options: ResolvedOptions): HostPolicy {
  const { allowPrivileged, allowHostNamespaces, hostPathPrefixes, securityModules } = options
  return {
    allowPrivileged,
    allowHostNamespaces,
    hostPathPrefixes,
    runtimeClasses: Object.keys(options.runtimeClasses).filter((name) => name !== ''),
    volumeSources,
    // A profile would have to be handed to runc with the container, and nodes keep none.
    seccompProfiles: [],
    securityModules,
  }
}

/** What to do about it, by the demand that was refused. */
const adviceByDemand: Readonly<Record<keyof HostDemands, string>> = {
  privileged:
    "Set features.allow_privileged in the agent's configuration, or change security_context.privileged.",
  hostNamespaces:
    "Set features.allow_host_network in the agent's configuration, or change security_context.",
  hostPaths:
    "Add it to features.host_path_prefixes in the agent's configuration, or use an emptyDir volume.",
  runtimeClass: 'Change security_context.runtime_class_name.',
  volumeSources: `Use ${volumeSources.join(', ')}.`,
  seccompProfile: 'Use RUNTIME_DEFAULT.',
  securityModules:
    'Run it where there is, or remove apparmor_profile and selinux_options from security_context.linux.',
}

/** What the owner of the node has not allowed. The rest is a matter of what the node has. */
const owned: ReadonlySet<keyof HostDemands> = new Set(['privileged', 'hostNamespaces', 'hostPaths'])

/** Throws permission_denied or failed_precondition, saying what to change. */
export function checkHostPolicy(spec: WorkloadSpec, policy: HostPolicy): void {
  const demands = hostDemandsOf(spec)
  const refusal = demands && hostRefusal(demands, policy)
  if (refusal === undefined) return
  const { demand, reason } = refusal
  const code: ErrorCode = owned.has(demand) ? 'permission_denied' : 'failed_precondition'
  throw new CloudlessError(
    code,
    `This node refuses it: ${reason}${listed(demand, policy)}. ${adviceByDemand[demand]}`,
  )
}

/** What there is instead, where that helps. */
function listed(demand: keyof HostDemands, policy: HostPolicy): string {
  const lists: Partial<Record<keyof HostDemands, readonly string[]>> = {
    hostPaths: policy.hostPathPrefixes,
    runtimeClass: policy.runtimeClasses,
  }
  const list = lists[demand] ?? []
  return list.length === 0 ? '' : ` (there is ${list.join(', ')})`
}
