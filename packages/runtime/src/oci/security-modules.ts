/** Which of the kernel's security modules are at work. */
import { existsSync, readFileSync } from 'node:fs'
import type { SecurityModule } from '@cloudless/base'

/** By the same signs as runc, which refuses what asks for one that is not enforced. */
export function detectSecurityModules(): readonly SecurityModule[] {
  return [
    ...(isAppArmorEnforced() ? (['apparmor'] as const) : []),
    ...(existsSync('/sys/fs/selinux/enforce') ? (['selinux'] as const) : []),
  ]
}

function isAppArmorEnforced(): boolean {
  if (!existsSync('/sys/kernel/security/apparmor')) return false
  try {
    return readFileSync('/sys/module/apparmor/parameters/enabled', 'utf8').startsWith('Y')
  } catch {
    return false // Not built into this kernel.
  }
}
