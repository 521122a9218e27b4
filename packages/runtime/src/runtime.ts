/**
 * The container runtime behind one interface: containerd today, others later.
 *
 * Everything here is about one machine's containers. Which containers there should be, and what to do when one ends, is
 * the agent's supervisor's to decide; this package only does what it is told and reports what it sees.
 */
import type { ImagePullPolicy, WorkloadSpec } from '@cloudless/api'

/** What to run. Resolved: nothing here still needs the cluster. */
export interface ContainerRequest {
  /** The runtime's name for it: at most 76 characters of [a-zA-Z0-9_.-]. Stable over restarts. */
  readonly containerId: string
  readonly replicaId: string
  readonly workloadId: string
  readonly workloadName: string
  readonly namespace: string
  readonly fragmentId: string
  readonly hostname: string
  readonly spec: WorkloadSpec
  /** Host directory for emptyDir volumes and configMap files of this replica; made and removed by the runtime. */
  readonly volumeDirectory: string
  /** Where its log goes: rotated to `<path>.1` and so on. */
  readonly logPath: string
  /** Ask for the address it had before, if it had one. */
  readonly address?: string
}

export type ContainerState = 'created' | 'running' | 'paused' | 'stopped' | 'unknown'

export interface ContainerInfo {
  readonly containerId: string
  readonly replicaId: string
  readonly workloadId: string
  readonly state: ContainerState
  readonly pid: number
  readonly image: string
  readonly address: string
  /** Unix milliseconds; 0 when not known. */
  readonly startedAtMs: number
  readonly finishedAtMs: number
  readonly exitCode: number
}

export interface ContainerExit {
  readonly containerId: string
  readonly exitCode: number
  /** The kernel killed a process of it for its memory limit. */
  readonly oomKilled: boolean
  readonly finishedAtMs: number
}

/**
 * Events in the order they happened. `images`: what images() and foreignImages() answer may have changed. `reconnected`
 * means that some may have been missed: look at list() and images().
 */
export type RuntimeEvent =
  | { readonly kind: 'exit'; readonly exit: ContainerExit }
  | { readonly kind: 'images' }
  | { readonly kind: 'unavailable'; readonly message: string }
  | { readonly kind: 'reconnected' }

export interface PullProgress {
  readonly phase: 'resolving' | 'downloading' | 'unpacking' | 'done'
  readonly bytesDone: number
  readonly bytesTotal: number
  readonly digest: string
}

export interface PullOptions {
  readonly policy: ImagePullPolicy
  readonly signal: AbortSignal
  readonly onProgress?: (progress: PullProgress) => void
}

export interface ContainerUsage {
  readonly containerId: string
  readonly replicaId: string
  /** When the CPU's figures were read; of the monotonic clock. */
  readonly readAtMs: number
  readonly cpuTotalUs: number
  readonly cpuMillicores: number
  readonly throttledUs: number
  readonly memoryBytes: number
  readonly memoryLimitBytes: number
  readonly pids: number
  readonly storageBytes: number
  readonly networkReceivedBytes: number
  readonly networkSentBytes: number
}

export interface ExecRequest {
  readonly command: readonly string[]
  readonly env: Readonly<Record<string, string>>
  readonly workingDir: string
  readonly tty: boolean
  readonly stdin: boolean
  readonly size?: { readonly columns: number; readonly rows: number }
}

export interface ExecSession {
  /** Chunks as they come; with a terminal everything is stdout. Ends when the process has. */
  readonly output: AsyncIterable<{
    readonly stream: 'stdout' | 'stderr'
    readonly data: Uint8Array
  }>
  /** Resolves after the last output. 128 + n when signal n ended it. */
  readonly exitCode: Promise<number>
  /** Waits while the process does not read. */
  write(data: Uint8Array): Promise<void>
  closeStdin(): Promise<void>
  resize(columns: number, rows: number): Promise<void>
  signal(name: string): Promise<void>
  /** Kills the process if it runs and frees what belongs to the session. Safe to call twice. */
  close(): Promise<void>
}

export interface ImageInfo {
  readonly name: string
  readonly digest: string
  /** Of its layers, as stored. */
  readonly bytes: number
  /** What it is made for, such as "linux/arm64"; all that its index offers. Empty when it does not say. */
  readonly platforms: readonly string[]
  readonly createdAtMs: number
}

/** An image that its registry has for other platforms than this machine's. */
export interface ForeignImage {
  /** In full. */
  readonly name: string
  readonly platforms: readonly string[]
}

export interface LogLine {
  /** Unix microseconds. */
  readonly timestampUs: number
  readonly stream: 'stdout' | 'stderr'
  readonly line: string
  readonly partial: boolean
}

export interface LogOptions {
  readonly follow: boolean
  /** Newest lines to start with; undefined: all that are kept. */
  readonly tailLines?: number
  /** Unix milliseconds. */
  readonly sinceMs: number
  readonly signal: AbortSignal
}

export interface Runtime {
  /** Version text such as "containerd 1.6.20"; rejects with `unavailable` when it does not answer. */
  version(): Promise<string>

  /**
   * Makes the image present under the policy; resolves with its digest. Codes: not_found, unauthenticated, unavailable,
   * failed_precondition when there is none for this machine's platform.
   */
  pull(image: string, options: PullOptions): Promise<string>

  /** Makes and starts the container with its network. What a failed attempt left behind is cleaned first. Idempotent per id. */
  start(request: ContainerRequest): Promise<ContainerInfo>

  /** SIGTERM, then SIGKILL after `graceMs`. Resolves with its exit when it has ended; at once if it had. */
  stop(containerId: string, graceMs: number): Promise<ContainerExit | undefined>

  /** Removes the container, its writable layer, network and volumes. Kills it if it runs. Absent is fine. */
  remove(containerId: string): Promise<void>

  get(containerId: string): Promise<ContainerInfo | undefined>
  /** Every container of ours on the machine, also of earlier agents. */
  list(): Promise<readonly ContainerInfo[]>

  /** Until the signal is aborted; survives the loss of containerd. */
  events(signal: AbortSignal): AsyncIterable<RuntimeEvent>

  usage(): Promise<readonly ContainerUsage[]>
  exec(containerId: string, request: ExecRequest): Promise<ExecSession>
  logs(logPath: string, options: LogOptions): AsyncIterable<LogLine>
  images(): Promise<readonly ImageInfo[]>
  /** What pulls of the last minutes have found to be so; newest first. */
  foreignImages(): readonly ForeignImage[]
  close(): Promise<void>
}
