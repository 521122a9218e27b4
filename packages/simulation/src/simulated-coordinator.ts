/** The coordinator's machine: its disk, and the process that runs on it or does not. The control plane in it is the real one. */
import { CloudlessError, type Clock, type Random } from '@cloudless/base'
import type { AgentMessage, CoordinatorMessage } from '@cloudless/api'
import {
  ClusterState,
  nodeHandlers,
  startControlPlane,
  workloadHandlers,
  type ControlPlane,
  type ControlPlaneOptions,
  type Reporter,
} from '@cloudless/coordinator/simulation'
import { rewriting, type Canary } from './canaries.ts'
import type { Server } from './connection.ts'
import { Disturbance } from './disturbance.ts'
import { ProcessClock, type WallOffset } from './process-clock.ts'
import { forkRandom } from './random-streams.ts'
import type { SimulatedDisk } from './simulated-disk.ts'
import { SimulatedStore } from './simulated-store.ts'
import type { VirtualClock } from './virtual-clock.ts'

export interface SimulatedCoordinatorDeps {
  readonly world: VirtualClock
  readonly random: Random
  readonly disk: SimulatedDisk
  readonly report: Reporter
  /** A bug to be found. */
  readonly canary?: Canary | undefined
  /** A process has read its state and begins its work. */
  readonly onStarted: (running: RunningCoordinator) => void
  /** The process has died; with its machine, when it lost its power. */
  readonly onDied: (isPowerLoss: boolean) => void
}

/** One run of the process. */
export interface RunningCoordinator extends Server {
  readonly state: ClusterState
  readonly control: ControlPlane
  readonly workloads: ReturnType<typeof workloadHandlers>
  readonly nodes: ReturnType<typeof nodeHandlers>
}

/** Opening the store, loading the certificate authority and so on. */
const startMs = 400
const rejoinWindowMs = 7 * 86_400_000

export class SimulatedCoordinator {
  readonly wall: WallOffset = { offsetMs: 0 }
  readonly disk: SimulatedDisk
  readonly disturbance: Disturbance
  readonly #deps: SimulatedCoordinatorDeps
  readonly #options: ControlPlaneOptions
  #machine: ProcessClock
  #process: ProcessClock | undefined
  #running: RunningCoordinator | undefined
  #opened: AsyncDisposableStack | undefined

  constructor(deps: SimulatedCoordinatorDeps, options: ControlPlaneOptions) {
    this.#deps = deps
    this.#options = options
    this.disk = deps.disk
    this.disturbance = new Disturbance(deps.world)
    this.#machine = new ProcessClock(deps.world, this.wall)
  }

  get machine(): ProcessClock {
    return this.#machine
  }

  /** Undefined while it is down or starting. */
  get running(): RunningCoordinator | undefined {
    return this.#running
  }

  start(): void {
    if (this.#process) return
    const clock = new ProcessClock(this.#deps.world, this.wall)
    this.#process = clock
    this.disturbance.note(startMs)
    clock.after(startMs, () => void this.#open(clock))
  }

  /** As kill -9, or with the power of the machine. */
  kill({ isPowerLoss }: { readonly isPowerLoss: boolean }): void {
    if (this.#process === undefined) return
    this.#process.kill()
    this.#process = undefined
    this.#running = undefined
    this.#opened = undefined
    this.disk.crash()
    if (isPowerLoss) {
      this.#machine.kill()
      this.#machine = new ProcessClock(this.#deps.world, this.wall)
    }
    this.#deps.onDied(isPowerLoss)
  }

  /** In order, as SIGTERM; resolves when everything is closed. Returns the clock it ran on. */
  async stop(): Promise<ProcessClock | undefined> {
    const clock = this.#process
    const opened = this.#opened
    this.#running = undefined
    await opened?.disposeAsync()
    this.#process = undefined
    this.#opened = undefined
    this.#deps.onDied(false)
    return clock
  }

  /** The process does nothing for a while. */
  holdUp(durationMs: number): void {
    const clock = this.#process
    if (clock === undefined) return
    this.disturbance.note(durationMs)
    clock.suspend()
    this.#deps.world.after(durationMs, () => clock.resume())
  }

  async #open(clock: ProcessClock): Promise<void> {
    const { disk, report, onStarted, canary } = this.#deps
    const random = forkRandom(this.#deps.random)
    const opened = new AsyncDisposableStack()
    const honest = new SimulatedStore({ clock, random, disk })
    opened.defer(() => honest.close())
    const { rewrite } = canary ?? {}
    const store = rewrite ? rewriting(honest, (writes) => rewrite(writes, disk)) : honest
    const following = new AbortController()
    opened.defer(() => following.abort())
    const state = await ClusterState.open(
      { store, clock },
      {
        signal: following.signal,
        onFailure: (error) => report.error('following the store', error),
      },
    )
    const observed = { report, heartbeat: () => undefined }
    const load = { isHigh: false }
    const deps = { state, clock: canary?.clock?.(clock) ?? clock, random, load, observed }
    const control = startControlPlane(deps, this.#options, opened)
    this.#opened = opened
    this.#running = {
      clock,
      state,
      control,
      ...usersOf(deps, control),
      serve: serveOver(state, control),
    }
    onStarted(this.#running)
  }
}

/** What the API server does before a session begins. */
function serveOver(state: ClusterState, { sessions }: ControlPlane): Server['serve'] {
  return async function* (
    nodeId: string,
    incoming: AsyncIterable<AgentMessage>,
    signal: AbortSignal,
  ): AsyncIterable<CoordinatorMessage> {
    if (state.get('removed', nodeId) !== undefined) {
      const message = `the node "${nodeId}" was removed from the cluster`
      throw new CloudlessError('unauthenticated', message, { details: { reason: 'removed' } })
    }
    yield* sessions.serve(nodeId, incoming, signal)
  }
}

function usersOf(
  { state, clock }: { readonly state: ClusterState; readonly clock: Clock },
  { nodeView, sessions, liveNodes, autoscalingOf }: ControlPlane,
): Pick<RunningCoordinator, 'workloads' | 'nodes'> {
  const nothing = (): void => undefined
  const nodes = nodeHandlers(
    {
      ...nodeView,
      onUpdated: nothing,
      onRemoved: ({ node }) => {
        sessions.evict(node!.id, 'removed', `node "${node!.name}" was removed from the cluster`)
        liveNodes.forget(node!.id)
      },
    },
    { rejoinWindowMs },
  )
  return {
    nodes,
    workloads: workloadHandlers({
      ...{ state, clock, autoscalingOf },
      ...{ admit: nothing, onChanged: nothing },
    }),
  }
}
