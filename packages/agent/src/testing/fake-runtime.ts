/** A Runtime in memory for tests: containers that run until told otherwise, and faults on request. */
import { CloudlessError, systemClock } from '@cloudless/base'
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
} from '@cloudless/runtime'

export class FakeRuntime implements Runtime {
  readonly containers = new Map<string, ContainerInfo>()
  readonly requests: ContainerRequest[] = []
  /** "start web-1", "stop web-1", ... in order. */
  readonly calls: string[] = []
  /** What a call named so is refused with; "pull nginx:9", "start web-1", "list". */
  readonly faults = new Map<string, CloudlessError>()
  /** Calls named so wait for the promise first. */
  readonly gates = new Map<string, Promise<void>>()
  readonly lines: LogLine[] = []
  usages: ContainerUsage[] = []
  exec_: (request: ExecRequest) => ExecSession = () => oneShot('', 0)
  startsAtOnceMax = 0
  #startsNow = 0
  #addresses = 1
  present: ImageInfo[] = [
    { name: 'nginx:1', digest: 'sha256:00', bytes: 10, platforms: [], createdAtMs: 1 },
  ]
  foreign: ForeignImage[] = []
  /** What was told before anyone listened is for the first who does. */
  #untaken: RuntimeEvent[] = []
  readonly #listeners = new Set<(event: RuntimeEvent) => void>()

  async #call(name: string): Promise<void> {
    this.calls.push(name)
    await this.gates.get(name)
    const fault = this.faults.get(name)
    if (fault !== undefined) throw fault
  }

  async version(): Promise<string> {
    await this.#call('version')
    return 'fake 1.0'
  }

  async pull(image: string, options: PullOptions): Promise<string> {
    const aborted = new Promise<never>((_, reject) => {
      const refuse = (): void => reject(new CloudlessError('cancelled', 'the pull was cancelled'))
      if (options.signal.aborted) refuse()
      options.signal.addEventListener('abort', refuse, { once: true })
    })
    aborted.catch(() => {}) // Only a rejection that comes while the call runs matters.
    await Promise.race([this.#call(`pull ${image}`), aborted])
    options.onProgress?.({ phase: 'done', bytesDone: 10, bytesTotal: 10, digest: 'sha256:00' })
    return 'sha256:00'
  }

  async start(request: ContainerRequest): Promise<ContainerInfo> {
    const { containerId, replicaId, workloadId, spec } = request
    this.#startsNow++
    this.startsAtOnceMax = Math.max(this.startsAtOnceMax, this.#startsNow)
    try {
      await this.#call(`start ${containerId}`)
    } finally {
      this.#startsNow--
    }
    if (this.containers.get(containerId)?.state === 'running') {
      throw new Error(`two containers of ${containerId}`)
    }
    this.requests.push(request)
    const info: ContainerInfo = {
      containerId,
      replicaId,
      workloadId,
      state: 'running',
      pid: 100 + this.requests.length,
      image: spec.image,
      address: request.address ?? `127.0.0.${++this.#addresses}`,
      startedAtMs: systemClock.wallMs(),
      finishedAtMs: 0,
      exitCode: 0,
    }
    this.containers.set(containerId, info)
    return info
  }

  async stop(containerId: string, graceMs: number): Promise<ContainerExit | undefined> {
    await this.#call(`stop ${containerId}`)
    const container = this.containers.get(containerId)
    if (container === undefined) return undefined
    return this.end(containerId, graceMs === 0 ? 137 : 143)
  }

  async remove(containerId: string): Promise<void> {
    await this.#call(`remove ${containerId}`)
    this.containers.delete(containerId)
  }

  async get(containerId: string): Promise<ContainerInfo | undefined> {
    return this.containers.get(containerId)
  }

  async list(): Promise<readonly ContainerInfo[]> {
    await this.#call('list')
    return [...this.containers.values()]
  }

  async *events(signal: AbortSignal): AsyncIterable<RuntimeEvent> {
    const queue = this.#untaken.splice(0)
    let wake = (): void => {}
    const listener = (event: RuntimeEvent): void => {
      queue.push(event)
      wake()
    }
    this.#listeners.add(listener)
    signal.addEventListener('abort', () => wake(), { once: true })
    while (!signal.aborted) {
      const event = queue.shift()
      if (event !== undefined) yield event
      else await new Promise<void>((resolve) => (wake = resolve))
    }
    this.#listeners.delete(listener)
  }

  /** The container's process ends, and the news go out. */
  end(containerId: string, exitCode: number, oomKilled = false): ContainerExit {
    const container = this.containers.get(containerId)!
    const finishedAtMs = systemClock.wallMs()
    this.containers.set(containerId, { ...container, state: 'stopped', exitCode, finishedAtMs })
    const exit = { containerId, exitCode, oomKilled, finishedAtMs }
    this.tell({ kind: 'exit', exit })
    return exit
  }

  tell(event: RuntimeEvent): void {
    if (this.#listeners.size === 0) this.#untaken.push(event)
    for (const listener of this.#listeners) listener(event)
  }

  async usage(): Promise<readonly ContainerUsage[]> {
    return this.usages
  }

  async exec(containerId: string, request: ExecRequest): Promise<ExecSession> {
    await this.#call(`exec ${containerId} ${request.command.join(' ')}`)
    return this.exec_(request)
  }

  async *logs(_logPath: string, options: LogOptions): AsyncIterable<LogLine> {
    yield* this.lines.slice(-(options.tailLines ?? this.lines.length))
    if (!options.follow) return
    await new Promise<void>((resolve) => {
      options.signal.addEventListener('abort', () => resolve(), { once: true })
    })
  }

  async images(): Promise<readonly ImageInfo[]> {
    await this.#call('images')
    return this.present
  }

  foreignImages(): readonly ForeignImage[] {
    return this.foreign
  }

  async close(): Promise<void> {}
}

/** A session of a command that says one thing and ends. */
export function oneShot(stdout: string, exitCode: number): ExecSession {
  return {
    output: (async function* () {
      yield { stream: 'stdout' as const, data: Buffer.from(stdout) }
    })(),
    exitCode: Promise.resolve(exitCode),
    write: async () => {},
    closeStdin: async () => {},
    resize: async () => {},
    signal: async () => {},
    close: async () => {},
  }
}
