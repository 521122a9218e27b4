/** What the containerd runtime is told about the machine, and its limits. */
import { readFileSync } from 'node:fs'
import type { Clock, Random, SecurityModule } from '@cloudless/base'
import type { Logger } from '@cloudless/observability'
import { detectSecurityModules } from './oci/security-modules.ts'

export type RuntimeLogger = Pick<Logger, 'debug' | 'info' | 'warn'>

export interface ContainerdRuntimeDeps {
  readonly clock: Clock
  readonly random: Random
  readonly logger: RuntimeLogger
}

/** A registry's user; `registry` is its host and port as image names have it, such as "docker.io". */
export interface RegistryCredential {
  /** How workloads name it in image_pull_secrets. */
  readonly name: string
  readonly registry: string
  readonly username: string
  readonly password: string
}

export interface RegistryOptions {
  /** Tried in order before the registry itself: host (and port) by registry, such as {"docker.io": ["mirror:5000"]}. */
  readonly mirrors?: Readonly<Record<string, readonly string[]>>
  readonly credentials?: readonly RegistryCredential[]
  /** Hosts spoken to over plain HTTP. localhost and 127.0.0.1 are, without being listed. */
  readonly insecure?: readonly string[]
}

export interface ContainerdRuntimeOptions {
  /** "/run/containerd/containerd.sock" when not given. */
  readonly socket?: string
  /** containerd's namespace; "cloudless" when not given. */
  readonly namespace?: string
  /** For what must survive a reboot: generated files, raw logs. Private to this runtime. */
  readonly stateDirectory: string
  /** On tmpfs: what a reboot makes void, such as addresses and namespaces. Private to this runtime. */
  readonly runDirectory: string
  /** Parent of every container's cgroup; "/cloudless" when not given. */
  readonly cgroupParent?: string
  /** Where CNI's plugins are looked for, in order; Debian's and upstream's directories when not given. */
  readonly cniDirectories?: readonly string[]
  /** At most 15 characters; "cloudless0" when not given. */
  readonly bridgeName?: string
  /** Addresses that containers reach without masquerading: other nodes' containers. "10.244.0.0/16" when not given. */
  readonly clusterCidr?: string
  /** Of the containers' interfaces; the plugin's choice when not given. */
  readonly mtu?: number
  /** Name servers for containers; the host's when not given. */
  readonly dnsServers?: readonly string[]
  readonly dnsSearch?: readonly string[]
  readonly registries?: RegistryOptions
  /** Images pulled at once; 2 when not given. */
  readonly pullConcurrency?: number
  /** Blobs of one image downloaded at once; 3 when not given. */
  readonly blobConcurrency?: number
  /** Bytes of one log file before it is rotated; 10 MiB when not given. */
  readonly logFileBytesMax?: number
  /** Log files kept for one container, the current one included; 3 when not given. */
  readonly logFilesMax?: number
  /** Processes and threads of a container that names no limit; 4096 when not given. */
  readonly pidsLimitDefault?: number
  /** Open files of each process of a container; the agent's own hard limit, at most 1,048,576, when not given. */
  readonly openFilesMax?: number
  /** Host directories that hostPath volumes may lie under; none when not given. */
  readonly hostPathPrefixes?: readonly string[]
  /** Whether privileged containers may start; no when not given. */
  readonly allowPrivileged?: boolean
  /** Whether containers may share the host's network, processes or IPC; no when not given. */
  readonly allowHostNamespaces?: boolean
  /** containerd's runtime by class: {"": "io.containerd.runc.v2"} is always there. */
  readonly runtimeClasses?: Readonly<Record<string, string>>
  /** Those that the kernel enforces; looked for when not given. */
  readonly securityModules?: readonly SecurityModule[]
}

/** The options with every default in place. */
export type ResolvedOptions = Required<Omit<ContainerdRuntimeOptions, 'mtu' | 'dnsServers'>> &
  Pick<ContainerdRuntimeOptions, 'mtu' | 'dnsServers'>

export const defaultRuntimeName = 'io.containerd.runc.v2'
export const snapshotter = 'overlayfs'

export function resolveOptions(options: ContainerdRuntimeOptions): ResolvedOptions {
  return {
    socket: '/run/containerd/containerd.sock',
    namespace: 'cloudless',
    cgroupParent: '/cloudless',
    cniDirectories: ['/usr/lib/cni', '/opt/cni/bin'],
    bridgeName: 'cloudless0',
    dnsSearch: [],
    registries: {},
    pullConcurrency: 2,
    blobConcurrency: 3,
    logFileBytesMax: 10 * 1024 * 1024,
    logFilesMax: 3,
    pidsLimitDefault: 4096,
    openFilesMax: ownOpenFilesMax(),
    clusterCidr: '10.244.0.0/16',
    hostPathPrefixes: [],
    allowPrivileged: false,
    allowHostNamespaces: false,
    securityModules: options.securityModules ?? detectSecurityModules(),
    ...options,
    runtimeClasses: {
      '': defaultRuntimeName,
      runc: defaultRuntimeName,
      ...options.runtimeClasses,
    },
  }
}

/** Nobody may be given more than the one who gives has. */
function ownOpenFilesMax(): number {
  const limits = readFileSync('/proc/self/limits', 'utf8')
  const hard = Number(/^Max open files\s+\S+\s+(\d+)/m.exec(limits)?.[1] ?? Infinity)
  return Math.min(hard, 1_048_576)
}
