/**
 * The default system call filter: everything is allowed except what reaches beyond the container.
 *
 * The kernel keeps most of these from a process without the capability; the filter is the second lock, and it also
 * closes doors that need no capability (keyrings, userfaultfd, new user namespaces). A refused call sees EPERM, or
 * ENOSYS for clone3, whose flags a filter cannot see: C libraries then use clone.
 */

export interface SeccompProfile {
  readonly defaultAction: 'SCMP_ACT_ALLOW'
  readonly architectures: readonly string[]
  readonly syscalls: readonly SeccompRule[]
}

interface SeccompRule {
  readonly names: readonly string[]
  readonly action: 'SCMP_ACT_ERRNO'
  readonly errnoRet: number
  readonly args?: readonly {
    readonly index: number
    readonly value: number
    readonly valueTwo: number
    readonly op: 'SCMP_CMP_MASKED_EQ'
  }[]
}

const EPERM = 1
const ENOSYS = 38
const newUserNamespace = 0x1000_0000

/** Refused whatever the container's capabilities. */
const always: readonly string[] = [
  'add_key',
  'keyctl',
  'request_key',
  'kexec_load',
  'kexec_file_load',
  'userfaultfd',
  'uselib',
  'ustat',
  'sysfs',
  '_sysctl',
  'nfsservctl',
  'get_kernel_syms',
  'query_module',
  'create_module',
  'move_pages',
  'vm86',
  'vm86old',
]

/** Refused unless the container has the capability that the call is for. */
const byCapability: Readonly<Record<string, readonly string[]>> = {
  CAP_SYS_ADMIN: [
    'mount',
    'umount',
    'umount2',
    'move_mount',
    'mount_setattr',
    'open_tree',
    'fsopen',
    'fsconfig',
    'fsmount',
    'fspick',
    'pivot_root',
    'setns',
    'unshare',
    'swapon',
    'swapoff',
    'quotactl',
    'quotactl_fd',
    'lookup_dcookie',
    'fanotify_init',
    'sethostname',
    'setdomainname',
  ],
  CAP_BPF: ['bpf'],
  CAP_PERFMON: ['perf_event_open'],
  CAP_SYS_MODULE: ['init_module', 'finit_module', 'delete_module'],
  CAP_SYS_BOOT: ['reboot'],
  CAP_SYS_TIME: ['settimeofday', 'clock_settime', 'clock_settime64', 'stime', 'clock_adjtime64'],
  CAP_SYS_RAWIO: ['iopl', 'ioperm'],
  CAP_SYS_PACCT: ['acct'],
  CAP_DAC_READ_SEARCH: ['open_by_handle_at'],
  CAP_SYS_PTRACE: ['kcmp', 'process_madvise'],
  CAP_SYS_TTY_CONFIG: ['vhangup'],
}

const architecturesByNode: Readonly<Record<string, readonly string[]>> = {
  x64: ['SCMP_ARCH_X86_64', 'SCMP_ARCH_X86', 'SCMP_ARCH_X32'],
  arm64: ['SCMP_ARCH_AARCH64', 'SCMP_ARCH_ARM'],
  arm: ['SCMP_ARCH_ARM'],
  ia32: ['SCMP_ARCH_X86'],
}

export function seccompProfileFor(
  capabilities: readonly string[],
  architecture: string = process.arch,
): SeccompProfile {
  const isAdmin = capabilities.includes('CAP_SYS_ADMIN')
  const refused = Object.entries(byCapability)
    .filter(([capability]) => !capabilities.includes(capability) && !isAdmin)
    .flatMap(([, names]) => names)
  const syscalls: SeccompRule[] = [
    { names: [...always, ...refused], action: 'SCMP_ACT_ERRNO', errnoRet: EPERM },
  ]
  if (!isAdmin) {
    syscalls.push(
      { names: ['clone3'], action: 'SCMP_ACT_ERRNO', errnoRet: ENOSYS },
      {
        names: ['clone'],
        action: 'SCMP_ACT_ERRNO',
        errnoRet: EPERM,
        args: [
          {
            index: 0,
            value: newUserNamespace,
            valueTwo: newUserNamespace,
            op: 'SCMP_CMP_MASKED_EQ',
          },
        ],
      },
    )
  }
  return {
    defaultAction: 'SCMP_ACT_ALLOW',
    architectures: architecturesByNode[architecture] ?? [],
    syscalls,
  }
}
