/** Which capabilities a container's processes have. */
import { CloudlessError } from '@cloudless/base'

/** What a container has unless its workload says otherwise: the set common to container engines. */
export const defaultCapabilities: readonly string[] = [
  'AUDIT_WRITE',
  'CHOWN',
  'DAC_OVERRIDE',
  'FOWNER',
  'FSETID',
  'KILL',
  'MKNOD',
  'NET_BIND_SERVICE',
  'NET_RAW',
  'SETFCAP',
  'SETGID',
  'SETPCAP',
  'SETUID',
  'SYS_CHROOT',
]

export const allCapabilities: readonly string[] = [
  ...defaultCapabilities,
  'AUDIT_CONTROL',
  'AUDIT_READ',
  'BLOCK_SUSPEND',
  'BPF',
  'CHECKPOINT_RESTORE',
  'DAC_READ_SEARCH',
  'IPC_LOCK',
  'IPC_OWNER',
  'LEASE',
  'LINUX_IMMUTABLE',
  'MAC_ADMIN',
  'MAC_OVERRIDE',
  'NET_ADMIN',
  'NET_BROADCAST',
  'PERFMON',
  'SYS_ADMIN',
  'SYS_BOOT',
  'SYS_MODULE',
  'SYS_NICE',
  'SYS_PACCT',
  'SYS_PTRACE',
  'SYS_RAWIO',
  'SYS_RESOURCE',
  'SYS_TIME',
  'SYS_TTY_CONFIG',
  'SYSLOG',
  'WAKE_ALARM',
].toSorted()

/** With "CAP_", sorted. Drops come first, so that "drop ALL, add X" leaves X. Throws invalid_argument. */
export function capabilitiesOf(change: {
  readonly privileged: boolean
  readonly add: readonly string[]
  readonly drop: readonly string[]
}): readonly string[] {
  if (change.privileged) return allCapabilities.map((name) => `CAP_${name}`)
  const drop = change.drop.map(canonicalName)
  const add = change.add.map(canonicalName)
  const kept = drop.includes('ALL')
    ? []
    : defaultCapabilities.filter((name) => !drop.includes(name))
  const added = add.includes('ALL') ? allCapabilities : add
  return [...new Set([...kept, ...added])].toSorted().map((name) => `CAP_${name}`)
}

function canonicalName(text: string): string {
  const name = text.toUpperCase().replace(/^CAP_/, '')
  if (name !== 'ALL' && !allCapabilities.includes(name)) {
    throw new CloudlessError('invalid_argument', `"${text}" is not a capability of Linux.`)
  }
  return name
}
