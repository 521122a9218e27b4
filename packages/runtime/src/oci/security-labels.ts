/** What AppArmor and SELinux go by. Where the machine has neither, runc refuses to start what asks for one. */
import { SecurityProfileType, type LinuxSecurity } from '@cloudless/api'

export interface SecurityLabels {
  /** A profile that is loaded on the machine. */
  readonly apparmorProfile?: string
  /** "user:role:type:level". */
  readonly selinuxLabel?: string
}

/** Empty where nothing is asked for: no profile of our own is loaded anywhere. */
export function securityLabelsOf(linux: LinuxSecurity | undefined): SecurityLabels {
  const profile = linux?.apparmorProfile
  const selinux = linux?.selinuxOptions
  return {
    ...(profile?.type === SecurityProfileType.LOCALHOST
      ? { apparmorProfile: profile.localhostProfile }
      : {}),
    ...(selinux === undefined
      ? {}
      : {
          selinuxLabel: [
            selinux.user || 'system_u',
            selinux.role || 'system_r',
            selinux.type || 'container_t',
            selinux.level || 's0',
          ].join(':'),
        }),
  }
}
