/** What the cluster lets a workload ask of its hosts. */
import { CloudlessError, isUnderAny } from '@cloudless/base'
import type { Workload } from '@cloudless/api'

export interface AdmissionRules {
  readonly hostPathPrefixes: readonly string[]
  readonly allowPrivileged: boolean
  readonly allowHostNamespaces: boolean
}

/** In `details.reason` of the refusal. */
export const policyReason = 'policy_violation'

/** Throws `permission_denied` naming each rule that is broken, its field and the setting that decides. */
export function admitWorkload(rules: AdmissionRules, workload: Workload): void {
  const violations = [...violationsOf(rules, workload)]
  if (violations.length === 0) return
  throw new CloudlessError(
    'permission_denied',
    `workload "${workload.name}" is not allowed here: ` +
      violations.map((violation, n) => `${n + 1}. ${violation}`).join('; '),
    { details: { reason: policyReason } },
  )
}

function* violationsOf(rules: AdmissionRules, workload: Workload): Generator<string> {
  const spec = workload.spec!
  const security = spec.securityContext
  if (security?.privileged === true && !rules.allowPrivileged) {
    yield 'spec.security_context.privileged: needs policy.allow_privileged on the coordinator'
  }
  for (const field of ['hostNetwork', 'hostPid', 'hostIpc'] as const) {
    if (security?.[field] !== true || rules.allowHostNamespaces) continue
    const name = field.replace(/[A-Z]/, (letter) => `_${letter.toLowerCase()}`)
    yield `spec.security_context.${name}: needs policy.allow_host_namespaces on the coordinator`
  }
  for (const [n, volume] of spec.volumes.entries()) {
    if (volume.source !== 'hostPath') continue
    const path = volume.options['path'] ?? ''
    if (isUnderAny(path, rules.hostPathPrefixes)) continue
    yield (
      `spec.volumes[${n}]: the host path "${path}" is under none of the coordinator's ` +
        `policy.host_path_prefixes (${rules.hostPathPrefixes.join(', ') || 'none are set'})`
    )
  }
}
