/**
 * What a node lets containers have of the machine itself, and whether what one asks is within it.
 *
 * There is one rule for whoever places and whoever starts: the node reports the very policy it goes by, and both ask
 * `hostRefusal`. So a node is never given what it would not start.
 */
import { posix } from 'node:path'

/** The lists are complete: what is not on them is refused. */
export interface HostPolicy {
  readonly allowPrivileged: boolean
  /** The host's network, processes and IPC. */
  readonly allowHostNamespaces: boolean
  /** Directories of the host that hostPath volumes may lie under. */
  readonly hostPathPrefixes: readonly string[]
  /** Such as "runc". */
  readonly runtimeClasses: readonly string[]
  /** Sources of volumes that can be mounted, such as "emptyDir". */
  readonly volumeSources: readonly string[]
  /** The node's own profiles. */
  readonly seccompProfiles: readonly string[]
  /** Those its kernel enforces. */
  readonly securityModules: readonly string[]
}

/** What a container asks beside what every node gives. */
export interface HostDemands {
  readonly privileged: boolean
  /** Which it wants to share, in words: "the host's network". */
  readonly hostNamespaces: readonly string[]
  readonly hostPaths: readonly string[]
  /** Empty: the node's usual one. */
  readonly runtimeClass: string
  readonly volumeSources: readonly string[]
  /** Of the node's own profiles; empty: none. */
  readonly seccompProfile: string
  readonly securityModules: readonly string[]
}

export type SecurityModule = 'apparmor' | 'selinux'

export interface HostRefusal {
  /** Which of the demands is refused. */
  readonly demand: keyof HostDemands
  /** In words fit for a user: "host path /srv not allowed". */
  readonly reason: string
}

/** The first demand that the policy does not meet, and why; undefined when it meets all. */
export function hostRefusal(demands: HostDemands, policy: HostPolicy): HostRefusal | undefined {
  if (demands.privileged && !policy.allowPrivileged) {
    return { demand: 'privileged', reason: 'privileged containers not allowed' }
  }
  const [shared] = demands.hostNamespaces
  if (shared !== undefined && !policy.allowHostNamespaces) {
    return { demand: 'hostNamespaces', reason: `sharing ${shared} not allowed` }
  }
  const path = demands.hostPaths.find((path) => !isUnderAny(path, policy.hostPathPrefixes))
  if (path !== undefined) {
    return { demand: 'hostPaths', reason: `host path ${plainPath(path)} not allowed` }
  }
  return refusalOfMeans(demands, policy)
}

/** By what the node has, rather than by what its owner allows. */
function refusalOfMeans(demands: HostDemands, policy: HostPolicy): HostRefusal | undefined {
  const { runtimeClass, seccompProfile } = demands
  if (runtimeClass !== '' && !policy.runtimeClasses.includes(runtimeClass)) {
    return { demand: 'runtimeClass', reason: `no runtime class ${runtimeClass}` }
  }
  const source = demands.volumeSources.find((source) => !policy.volumeSources.includes(source))
  if (source !== undefined) {
    return { demand: 'volumeSources', reason: `mounts no ${source} volumes` }
  }
  if (seccompProfile !== '' && !policy.seccompProfiles.includes(seccompProfile)) {
    return { demand: 'seccompProfile', reason: `no seccomp profile ${seccompProfile}` }
  }
  const module = demands.securityModules.find((module) => !policy.securityModules.includes(module))
  if (module === undefined) return undefined
  return { demand: 'securityModules', reason: `no ${nameByModule[module] ?? module}` }
}

const nameByModule: Readonly<Record<string, string>> = { apparmor: 'AppArmor', selinux: 'SELinux' }

/** Whether the path is one of the directories or lies in one, once "." and ".." are worked out. Links are not followed. */
export function isUnderAny(path: string, directories: readonly string[]): boolean {
  const plain = plainPath(path)
  if (!posix.isAbsolute(plain)) return false
  return directories.some((directory) => {
    const above = plainPath(directory)
    return above === '/' || plain === above || plain.startsWith(`${above}/`)
  })
}

/** Without ".", "..", doubled slashes and one at the end. */
export function plainPath(path: string): string {
  return posix.normalize(path).replace(/(.)\/$/, '$1')
}
