/** The runtime on containerd: puts its parts together and keeps one container's actions in order. */
import { KeyedSerialQueue, type HostPolicy } from '@cloudless/base'
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { ContainerStore } from './container/container-store.ts'
import { EventPump } from './container/event-pump.ts'
import { GeneratedFileStore } from './container/generated-files.ts'
import { ContainerStarter } from './container/starter.ts'
import { ContainerStopper } from './container/stopper.ts'
import { createContainerdClient, type ContainerdClient } from './containerd/client.ts'
import { callContainerd } from './containerd/errors.ts'
import { execute } from './exec/execute.ts'
import { ForeignImages } from './image/foreign-images.ts'
import { ImageListing } from './image/image-listing.ts'
import { ImagePuller } from './image/image-puller.ts'
import { ImageStore } from './image/image-store.ts'
import { readLogs } from './logs/log-reader.ts'
import { RawLogs } from './logs/raw-logs.ts'
import { ContainerNetwork } from './network/container-network.ts'
import {
  resolveOptions,
  type ContainerdRuntimeDeps,
  type ContainerdRuntimeOptions,
  type ResolvedOptions,
} from './options.ts'
import type {
  ContainerExit,
  ContainerInfo,
  ContainerRequest,
  ContainerUsage,
  ExecRequest,
  ExecSession,
  ForeignImage,
  ImageInfo,
  LogLine,
  LogOptions,
  PullOptions,
  Runtime,
  RuntimeEvent,
} from './runtime.ts'
import { CgroupTree } from './usage/cgroup-tree.ts'
import { OomWatch } from './usage/oom-watch.ts'
import { UsageReader } from './usage/usage-reader.ts'

export interface ContainerdRuntime extends Runtime {
  /** The node's subnet for containers, such as "10.244.3.0/24"; to be given before the first start. */
  setPodCidr(podCidr: string): void

  /** What it lets containers have of the machine; start() refuses the rest. */
  readonly hostPolicy: HostPolicy
}

/** The last words of a process may reach the output files a moment after its end is known. */
const lastWordsMs = 200

/** Dials nothing yet; follows containerd's events and the containers' output from now on, until close(). */
export function createContainerdRuntime(
  deps: ContainerdRuntimeDeps,
  options: ContainerdRuntimeOptions,
): ContainerdRuntime {
  return new RuntimeOnContainerd(deps, resolveOptions(options))
}

class RuntimeOnContainerd implements ContainerdRuntime {
  readonly #deps: ContainerdRuntimeDeps
  readonly #options: ResolvedOptions
  readonly #client: ContainerdClient
  readonly #network: ContainerNetwork
  readonly #store: ContainerStore
  readonly #rawLogs: RawLogs
  readonly #images: ImagePuller
  readonly #listing: ImageListing
  readonly #foreign: ForeignImages
  readonly #oom: OomWatch
  readonly #starter: ContainerStarter
  readonly #stopper: ContainerStopper
  readonly #events: EventPump
  readonly #usage: UsageReader
  /** Starting and removing the same container do not overlap. */
  readonly #queue = new KeyedSerialQueue()

  constructor(deps: ContainerdRuntimeDeps, options: ResolvedOptions) {
    this.#deps = deps
    this.#options = options
    const client = createContainerdClient(options)
    const network = new ContainerNetwork(deps, options)
    const store = new ContainerStore(client, (id) => network.addressOf(id))
    const files = new GeneratedFileStore(options)
    const rawLogs = new RawLogs(deps, options)
    const cgroups = new CgroupTree()
    const oom = new OomWatch(cgroups)
    const { clock } = deps
    const imageStore = new ImageStore(client)
    const onChange = (): void => this.#events.tell({ kind: 'images' })
    const foreign = new ForeignImages({ clock, onChange })
    const images = new ImagePuller(deps, { client, store: imageStore, foreign }, options)
    const { namespace, logFilesMax } = options
    const parts = { clock, client, store, network, files, rawLogs, images, oom, namespace }
    const stopper = new ContainerStopper(parts)
    const adoptOrClean = (id: string): Promise<ContainerInfo | undefined> =>
      stopper.adoptOrClean(id)
    this.#starter = new ContainerStarter(deps, options, { ...parts, adoptOrClean })
    this.#events = new EventPump(deps, { ...parts, onExit: (id) => this.#takeLastWords(id) })
    this.#usage = new UsageReader({ clock, client, store, cgroups, logFilesMax })
    this.#client = client
    this.#network = network
    this.#store = store
    this.#rawLogs = rawLogs
    this.#images = images
    this.#listing = new ImageListing(client, imageStore)
    this.#foreign = foreign
    this.#oom = oom
    this.#stopper = stopper
    // Pipes of sessions that an earlier agent had.
    rmSync(join(options.runDirectory, 'exec'), { recursive: true, force: true })
    rawLogs.start()
    this.#events.start()
  }

  get hostPolicy(): HostPolicy {
    return this.#starter.hostPolicy
  }

  setPodCidr(podCidr: string): void {
    this.#network.setPodCidr(podCidr)
  }

  async version(): Promise<string> {
    const { version } = await callContainerd('ask containerd its version', () =>
      this.#client.version.version({}),
    )
    return `containerd ${version.split(/[~+-]/)[0]}`
  }

  pull(image: string, options: PullOptions): Promise<string> {
    return this.#images.pull(image, options)
  }

  start(request: ContainerRequest): Promise<ContainerInfo> {
    const { containerId } = request
    return this.#queue.run(containerId, async () => {
      this.#store.starting.add(containerId)
      this.#oom.forget(containerId)
      try {
        return await this.#starter.start(request)
      } finally {
        this.#store.starting.delete(containerId)
      }
    })
  }

  stop(containerId: string, graceMs: number): Promise<ContainerExit | undefined> {
    return this.#stopper.stop(containerId, graceMs)
  }

  remove(containerId: string): Promise<void> {
    return this.#queue.run(containerId, () => this.#stopper.remove(containerId))
  }

  async get(containerId: string): Promise<ContainerInfo | undefined> {
    return (await this.#store.get(containerId))?.info
  }

  async list(): Promise<readonly ContainerInfo[]> {
    return (await this.#store.list()).map(({ info }) => info)
  }

  events(signal: AbortSignal): AsyncIterable<RuntimeEvent> {
    return this.#events.events(signal)
  }

  usage(): Promise<readonly ContainerUsage[]> {
    return this.#usage.read()
  }

  exec(containerId: string, request: ExecRequest): Promise<ExecSession> {
    const parts = { deps: this.#deps, options: this.#options, client: this.#client }
    return execute(parts, containerId, request)
  }

  logs(logPath: string, options: LogOptions): AsyncIterable<LogLine> {
    return readLogs(this.#deps.clock, logPath, options)
  }

  images(): Promise<readonly ImageInfo[]> {
    return this.#listing.list()
  }

  foreignImages(): readonly ForeignImage[] {
    return this.#foreign.list()
  }

  async close(): Promise<void> {
    await this.#events.stop()
    await this.#queue.idle()
    await this.#rawLogs.close()
  }

  #takeLastWords(containerId: string): void {
    this.#deps.clock.after(lastWordsMs, () => {
      this.#rawLogs.flush(containerId, true).catch((reason: unknown) => {
        this.#deps.logger.warn({ containerId, err: reason }, 'The end of its output is not logged')
      })
    })
  }
}
