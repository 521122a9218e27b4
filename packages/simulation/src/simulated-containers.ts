/**
 * The containers of one machine. They live on its clock and not on the agent's: they run on while the agent is dead, and
 * stop with the machine's power.
 */
import { between, CloudlessError, sleep, type Random } from '@cloudless/base'
import type {
  ContainerExit,
  ContainerInfo,
  ContainerRequest,
  ExecSession,
  Runtime,
  RuntimeEvent,
} from '@cloudless/agent/simulation'
import { behaviourOf, type Behaviour } from './container-behaviour.ts'
import { Inbox } from './inbox.ts'
import type { ProcessClock } from './process-clock.ts'
import { pickOne } from './random-streams.ts'

interface Container {
  info: ContainerInfo
  readonly behaviour: Behaviour
  /** Of the machine, monotonic; undefined: never. */
  readyAtMs: number | undefined
  /** The stop under way, to be over by then. */
  stopDueMs: number
  cancelTimers: (() => void)[]
  readonly ended: PromiseWithResolvers<ContainerExit>
}

export interface SimulatedContainersDeps {
  readonly random: Random
  /** Of the machine as it is now; another after each boot. */
  readonly machine: () => ProcessClock
  /** A container began or ceased to run here. */
  readonly onRunning: (replicaId: string, isRunning: boolean) => void
}

export class SimulatedContainers {
  readonly #deps: SimulatedContainersDeps
  readonly #containers = new Map<string, Container>()
  readonly #images = new Set<string>()
  #listener: Inbox<RuntimeEvent> | undefined
  #addresses = 1

  constructor(deps: SimulatedContainersDeps) {
    this.#deps = deps
  }

  *running(): Iterable<ContainerInfo> {
    for (const { info } of this.#containers.values()) if (info.state === 'running') yield info
  }

  /** The machine's power is gone: nothing runs, and the runtime remembers what there was. */
  powerOff(): void {
    for (const container of this.#containers.values()) {
      for (const cancel of container.cancelTimers.splice(0)) cancel()
      if (container.info.state !== 'running') continue
      container.info = { ...container.info, state: 'stopped', exitCode: 255 }
      this.#deps.onRunning(container.info.replicaId, false)
    }
    this.#listener = undefined
  }

  /** What the agent of this machine is given; it acts in the agent's time, so a dead agent gets no answers. */
  runtimeFor(agent: ProcessClock): Runtime {
    const runtime: Partial<Runtime> = {
      pull: (image, options) => this.#pull(agent, image, options.signal),
      start: (request) => this.#start(agent, request),
      stop: (containerId, graceMs) => this.#stop(agent, containerId, graceMs),
      remove: (containerId) => this.#remove(agent, containerId),
      get: async (containerId) => this.#containers.get(containerId)?.info,
      list: async () => [...this.#containers.values()].map(({ info }) => info),
      events: (signal) => this.#events(signal),
      exec: async (containerId) => this.#probe(containerId),
    }
    return runtime as Runtime
  }

  async #pull(agent: ProcessClock, image: string, signal: AbortSignal): Promise<string> {
    const { pullMs, isAbsent } = behaviourOf(image)
    const isPresent = this.#images.has(image)
    try {
      await sleep(agent, isPresent ? 1 : between(this.#deps.random, ...pullMs), signal)
    } catch {
      throw new CloudlessError('cancelled', 'the pull was cancelled')
    }
    if (isAbsent) throw new CloudlessError('not_found', `there is no image ${image}`)
    this.#images.add(image)
    return 'sha256:00'
  }

  async #start(agent: ProcessClock, request: ContainerRequest): Promise<ContainerInfo> {
    const { random, machine } = this.#deps
    const behaviour = behaviourOf(request.spec.image)
    const startMs = between(random, ...behaviour.startMs)
    // The agent may die while the container starts: then it runs, and nobody was told.
    const running = Promise.withResolvers<ContainerInfo>()
    machine().after(startMs * random.next(), () => running.resolve(this.#run(request, behaviour)))
    await sleep(agent, startMs)
    return running.promise
  }

  #run(request: ContainerRequest, behaviour: Behaviour): ContainerInfo {
    const { random, machine, onRunning } = this.#deps
    const { containerId, replicaId, workloadId, spec } = request
    const present = this.#containers.get(containerId)
    if (present?.info.state === 'running') return present.info
    const clock = machine()
    const { readyMs, ends } = behaviour
    const container: Container = {
      behaviour,
      info: {
        ...{ containerId, replicaId, workloadId, pid: 1, image: spec.image, state: 'running' },
        address: request.address ?? `10.0.0.${++this.#addresses % 250}`,
        startedAtMs: Math.round(clock.wallMs()),
        finishedAtMs: 0,
        exitCode: 0,
      },
      readyAtMs: readyMs && clock.monotonicMs() + between(random, ...readyMs),
      stopDueMs: Number.POSITIVE_INFINITY,
      cancelTimers: [],
      ended: Promise.withResolvers(),
    }
    this.#containers.set(containerId, container)
    onRunning(replicaId, true)
    if (ends !== undefined) {
      const exitCode = pickOne(random, ends.exitCodes)
      const afterMs = between(random, ...ends.afterMs)
      container.cancelTimers.push(clock.after(afterMs, () => this.#end(container, exitCode)))
    }
    return container.info
  }

  async #stop(
    agent: ProcessClock,
    containerId: string,
    graceMs: number,
  ): Promise<ContainerExit | undefined> {
    const container = this.#containers.get(containerId)
    if (container?.info.state !== 'running') {
      await sleep(agent, 1)
      return container && exitOf(container.info)
    }
    const { random, machine } = this.#deps
    const clock = machine()
    const wantedMs = between(random, ...container.behaviour.stopMs)
    const dueMs = clock.monotonicMs() + Math.min(wantedMs, graceMs)
    if (dueMs < container.stopDueMs) {
      container.stopDueMs = dueMs
      const exitCode = wantedMs < graceMs ? 143 : 137
      const end = (): void => this.#end(container, exitCode)
      container.cancelTimers.push(clock.after(dueMs - clock.monotonicMs(), end))
    }
    const exit = await container.ended.promise
    await sleep(agent, 1)
    return exit
  }

  async #remove(agent: ProcessClock, containerId: string): Promise<void> {
    const container = this.#containers.get(containerId)
    if (container?.info.state === 'running') this.#end(container, 137)
    await sleep(agent, 5)
    this.#containers.delete(containerId)
  }

  #end(container: Container, exitCode: number): void {
    if (container.info.state !== 'running') return
    const finishedAtMs = Math.round(this.#deps.machine().wallMs())
    container.info = { ...container.info, state: 'stopped', exitCode, finishedAtMs }
    for (const cancel of container.cancelTimers.splice(0)) cancel()
    const exit = exitOf(container.info)
    container.ended.resolve(exit)
    this.#deps.onRunning(container.info.replicaId, false)
    this.#listener?.push({ kind: 'exit', exit })
  }

  #events(signal: AbortSignal): AsyncIterable<RuntimeEvent> {
    const inbox = new Inbox<RuntimeEvent>()
    this.#listener = inbox
    signal.addEventListener('abort', () => inbox.end(), { once: true })
    return inbox
  }

  /** Every probe of a simulated workload runs a command, which passes as soon as the container is ready. */
  async #probe(containerId: string): Promise<ExecSession> {
    const container = this.#containers.get(containerId)
    const nowMs = this.#deps.machine().monotonicMs()
    const readyAtMs = container?.info.state === 'running' ? container.readyAtMs : undefined
    const passed = readyAtMs !== undefined && readyAtMs <= nowMs
    return probeSession(passed ? 0 : 1)
  }
}

function exitOf({ containerId, exitCode, finishedAtMs }: ContainerInfo): ContainerExit {
  return { containerId, exitCode, oomKilled: false, finishedAtMs }
}

function probeSession(exitCode: number): ExecSession {
  const nothing = async (): Promise<void> => undefined
  const output = new Inbox<never>()
  output.end()
  return {
    output,
    exitCode: Promise.resolve(exitCode),
    ...{ write: nothing, closeStdin: nothing, resize: nothing, signal: nothing, close: nothing },
  }
}
