/**
 * From a request and its image to the OCI runtime specification that runc is given. Pure: the same in, the same out.
 */
import { CloudlessError } from '@cloudless/base'
import { SecurityProfileType, type SecurityContext } from '@cloudless/api'
import type { ImageConfig } from '../image/manifest.ts'
import type { ContainerRequest } from '../runtime.ts'
import { capabilitiesOf } from './capabilities.ts'
import {
  generatedMountsOf,
  systemMountsOf,
  volumeMountsOf,
  type GeneratedFiles,
  type OciMount,
  type PlannedVolume,
} from './mounts.ts'
import { ociResourcesOf, type OciResources } from './resources.ts'
import { seccompProfileFor, type SeccompProfile } from './seccomp.ts'
import { securityLabelsOf, type SecurityLabels } from './security-labels.ts'
import type { ContainerUser } from './user.ts'

export interface OciProcess extends SecurityLabels {
  readonly terminal: boolean
  readonly user: {
    readonly uid: number
    readonly gid: number
    readonly additionalGids: readonly number[]
  }
  readonly args: readonly string[]
  readonly env: readonly string[]
  readonly cwd: string
  readonly capabilities: Readonly<Record<'bounding' | 'effective' | 'permitted', readonly string[]>>
  readonly rlimits: readonly {
    readonly type: string
    readonly soft: number
    readonly hard: number
  }[]
  readonly noNewPrivileges: boolean
  readonly consoleSize?: { readonly width: number; readonly height: number }
}

export interface OciSpec {
  readonly ociVersion: '1.0.2'
  readonly process: OciProcess
  readonly root: { readonly path: 'rootfs'; readonly readonly: boolean }
  readonly hostname?: string
  readonly mounts: readonly OciMount[]
  readonly linux: {
    readonly cgroupsPath: string
    readonly namespaces: readonly { readonly type: string }[]
    readonly resources: OciResources
    readonly sysctl: Readonly<Record<string, string>>
    readonly maskedPaths: readonly string[]
    readonly readonlyPaths: readonly string[]
    readonly seccomp?: SeccompProfile
  }
}

export interface OciSpecInput {
  readonly request: ContainerRequest
  readonly image: ImageConfig
  readonly user: ContainerUser
  readonly volumes: readonly PlannedVolume[]
  readonly files: GeneratedFiles
  readonly options: {
    readonly cgroupParent: string
    readonly pidsLimitDefault: number
    readonly openFilesMax: number
  }
}

/** Open files: enough for servers; more makes programs slow that close every number up to the limit. */
const openFilesSoft = 65_536

const pathDefault = 'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'

/** Of what the node's policy lets pass. Throws invalid_argument or failed_precondition, saying what to change. */
export function buildOciSpec(input: OciSpecInput): OciSpec {
  const { request, image, options } = input
  const security = request.spec.securityContext
  const privileged = security?.privileged ?? false
  const hostNetwork = security?.hostNetwork ?? false
  const hostPid = security?.hostPid ?? false
  const hostIpc = security?.hostIpc ?? false
  const capabilities = capabilitiesOf({
    privileged,
    add: security?.capabilitiesAdd ?? [],
    drop: security?.capabilitiesDrop ?? [],
  })
  const seccomp = seccompOf(security, capabilities)
  const { uid, gid, additionalGids } = input.user
  return {
    ociVersion: '1.0.2',
    process: {
      terminal: false,
      user: { uid, gid, additionalGids: withFsGroup(additionalGids, security) },
      args: argumentsOf(request, image),
      env: environmentOf(request, image, input.user),
      cwd: workingDirOf(request, image),
      capabilities: {
        bounding: capabilities,
        effective: capabilities,
        permitted: capabilities,
      },
      rlimits: [
        {
          type: 'RLIMIT_NOFILE',
          soft: Math.min(openFilesSoft, options.openFilesMax),
          hard: options.openFilesMax,
        },
      ],
      noNewPrivileges: !privileged,
      ...securityLabelsOf(security?.linux),
    },
    root: { path: 'rootfs', readonly: security?.readOnlyRootFilesystem ?? false },
    ...(hostNetwork ? {} : { hostname: request.hostname }),
    mounts: [
      ...systemMountsOf({ privileged, hostNetwork, hostPid, hostIpc }),
      ...generatedMountsOf(input.files),
      ...volumeMountsOf(input.volumes),
    ],
    linux: {
      cgroupsPath: `${options.cgroupParent}/${request.containerId}`,
      namespaces: namespacesOf({ hostNetwork, hostPid, hostIpc }),
      resources: ociResourcesOf(request.spec.resources, {
        pidsLimitDefault: options.pidsLimitDefault,
        privileged,
      }),
      sysctl: { ...security?.linux?.sysctls },
      maskedPaths: privileged ? [] : maskedPaths,
      readonlyPaths: privileged ? [] : readonlyPaths,
      ...(seccomp === undefined ? {} : { seccomp }),
    },
  }
}

/** ENTRYPOINT and CMD, or what replaces them: a command also drops the image's CMD. */
export function argumentsOf(request: ContainerRequest, image: ImageConfig): readonly string[] {
  const { command, args } = request.spec
  const first = command.length > 0 ? command : image.entrypoint
  const rest = args.length > 0 ? args : command.length > 0 ? [] : image.command
  if (first.length + rest.length === 0) {
    throw new CloudlessError(
      'failed_precondition',
      `${request.spec.image} says no command to run, nor does the workload. Set "command".`,
    )
  }
  return [...first, ...rest]
}

function environmentOf(
  request: ContainerRequest,
  image: ImageConfig,
  user: ContainerUser,
): readonly string[] {
  const env = new Map<string, string>()
  for (const entry of [pathDefault, `HOME=${user.home}`, ...image.env]) {
    const equals = entry.indexOf('=')
    if (equals > 0) env.set(entry.slice(0, equals), entry.slice(equals + 1))
  }
  env.set('HOSTNAME', request.hostname)
  for (const [name, value] of Object.entries(request.spec.env)) env.set(name, value)
  return [...env].map(([name, value]) => `${name}=${value}`)
}

function workingDirOf(request: ContainerRequest, image: ImageConfig): string {
  const wanted = request.spec.workingDir || image.workingDir || '/'
  return wanted.startsWith('/') ? wanted : `/${wanted}`
}

function namespacesOf(share: {
  hostNetwork: boolean
  hostPid: boolean
  hostIpc: boolean
}): readonly { readonly type: string }[] {
  const types = ['mount', 'uts', 'cgroup']
  if (!share.hostPid) types.push('pid')
  if (!share.hostIpc) types.push('ipc')
  if (!share.hostNetwork) types.push('network')
  return types.map((type) => ({ type }))
}

function withFsGroup(
  gids: readonly number[],
  security: SecurityContext | undefined,
): readonly number[] {
  const group = security?.linux?.fsGroup
  return group === undefined ? gids : [...new Set([...gids, Number(group)])]
}

/** LOCALHOST never comes here: no node has profiles of its own. */
function seccompOf(
  security: SecurityContext | undefined,
  capabilities: readonly string[],
): SeccompProfile | undefined {
  if (security?.privileged) return undefined
  return security?.linux?.seccompProfile?.type === SecurityProfileType.UNCONFINED
    ? undefined
    : seccompProfileFor(capabilities)
}

const maskedPaths: readonly string[] = [
  '/proc/acpi',
  '/proc/asound',
  '/proc/kcore',
  '/proc/keys',
  '/proc/latency_stats',
  '/proc/timer_list',
  '/proc/timer_stats',
  '/proc/sched_debug',
  '/proc/scsi',
  '/sys/firmware',
  '/sys/devices/virtual/powercap',
]

const readonlyPaths: readonly string[] = [
  '/proc/bus',
  '/proc/fs',
  '/proc/irq',
  '/proc/sys',
  '/proc/sysrq-trigger',
]
