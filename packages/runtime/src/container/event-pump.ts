/** containerd's event stream, kept up for as long as the runtime lives, given to whoever listens. */
import { backoffDelayMs, messageOf, sleep } from '@cloudless/base'
import { fromBinary } from '@bufbuild/protobuf'
import { unlimited, type ContainerdClient } from '../containerd/client.ts'
import {
  TaskExitSchema,
  TaskOOMSchema,
} from '../gen/github.com/containerd/containerd/api/events/task_pb.ts'
import type { Envelope } from '../gen/github.com/containerd/containerd/api/services/events/v1/events_pb.ts'
import type { ContainerdRuntimeDeps } from '../options.ts'
import type { RuntimeEvent } from '../runtime.ts'
import type { OomWatch } from '../usage/oom-watch.ts'
import type { ContainerStore } from './container-store.ts'
import { unixMsOf } from './timestamp.ts'

export interface EventPumpParts {
  readonly client: ContainerdClient
  readonly namespace: string
  readonly store: ContainerStore
  readonly oom: OomWatch
  /** Called for every container that ended, before listeners hear of it. */
  readonly onExit: (containerId: string) => void
}

/** A listener this far behind is told to look at list() instead. */
const queueLengthMax = 1024
const imageTopics = ['/images/create', '/images/update', '/images/delete']
const backoff = { delayMsMin: 50, delayMsMax: 2_000 }

type Listener = (event: RuntimeEvent) => void

export class EventPump {
  readonly #deps: ContainerdRuntimeDeps
  readonly #parts: EventPumpParts
  readonly #listeners = new Set<Listener>()
  readonly #stopped = new AbortController()
  /** Why events do not come at present. */
  #away: string | undefined
  #running: Promise<void> | undefined

  constructor(deps: ContainerdRuntimeDeps, parts: EventPumpParts) {
    this.#deps = deps
    this.#parts = parts
  }

  start(): void {
    this.#running ??= this.#run()
  }

  async stop(): Promise<void> {
    this.#stopped.abort(new Error('The runtime was closed.'))
    await this.#running
  }

  async *events(signal: AbortSignal): AsyncIterable<RuntimeEvent> {
    const away = this.#away
    let queue: RuntimeEvent[] = away === undefined ? [] : [{ kind: 'unavailable', message: away }]
    let wake = (): void => {}
    const listener: Listener = (event) => {
      if (queue.length < queueLengthMax) queue.push(event)
      else queue = [{ kind: 'reconnected' }]
      wake()
    }
    const ended = AbortSignal.any([signal, this.#stopped.signal])
    const onEnd = (): void => wake()
    ended.addEventListener('abort', onEnd, { once: true })
    this.#listeners.add(listener)
    try {
      while (!ended.aborted) {
        const event = queue.shift()
        if (event !== undefined) yield event
        else await new Promise<void>((resolve) => (wake = resolve))
      }
    } finally {
      this.#listeners.delete(listener)
      ended.removeEventListener('abort', onEnd)
    }
  }

  /** Also what does not come from containerd. */
  tell(event: RuntimeEvent): void {
    for (const listener of this.#listeners) listener(event)
  }

  async #run(): Promise<void> {
    const { signal } = this.#stopped
    let attempt = 0
    while (!signal.aborted) {
      try {
        await this.#subscribe(() => {
          if (this.#away !== undefined) this.tell({ kind: 'reconnected' })
          this.#away = undefined
          attempt = 0
        })
      } catch (reason) {
        if (signal.aborted) return
        const wasAway = this.#away !== undefined
        this.#away = messageOf(reason)
        if (!wasAway) this.tell({ kind: 'unavailable', message: this.#away })
      }
      const delayMs = backoffDelayMs(this.#deps.random, attempt++, backoff)
      await sleep(this.#deps.clock, delayMs, signal).catch(() => {
        // Stopped: the loop's condition ends it.
      })
    }
  }

  async #subscribe(onUp: () => void): Promise<void> {
    const { signal } = this.#stopped
    const filters = ['/tasks/exit', '/tasks/oom', ...imageTopics].map(
      (topic) => `namespace=="${this.#parts.namespace}",topic=="${topic}"`,
    )
    const subscription = new AbortController()
    const stream = this.#parts.client.events.subscribe(
      { filters },
      {
        ...unlimited,
        signal: AbortSignal.any([signal, subscription.signal]),
        // containerd sends headers only with the first event, so being up is asked for apart.
        onHeader: onUp,
      },
    )
    const answering = this.#parts.client.version.version({}, { signal }).then(onUp)
    answering.catch((reason: unknown) => subscription.abort(reason))
    for await (const envelope of stream) await this.#receive(envelope)
    throw new Error('containerd ended its event stream.')
  }

  async #receive(envelope: Envelope): Promise<void> {
    const value = envelope.event?.value
    if (value === undefined) return
    if (imageTopics.includes(envelope.topic)) return this.tell({ kind: 'images' })
    if (envelope.topic === '/tasks/oom') {
      this.#parts.oom.noteEvent(fromBinary(TaskOOMSchema, value).containerId)
      return
    }
    const exit = fromBinary(TaskExitSchema, value)
    // Processes of exec have ids of their own.
    if (exit.id !== exit.containerId) return
    const { containerId } = exit
    this.#parts.onExit(containerId)
    const oomKilled = await this.#wasOomKilled(containerId)
    const finishedAtMs = unixMsOf(exit.exitedAt)
    this.tell({
      kind: 'exit',
      exit: { containerId, exitCode: exit.exitStatus, oomKilled, finishedAtMs },
    })
  }

  async #wasOomKilled(containerId: string): Promise<boolean> {
    // Already removed, or containerd is going away: what the events said is what there is to know.
    const known = await this.#parts.store.get(containerId).catch(() => undefined)
    return this.#parts.oom.wasKilled(containerId, known?.labels.cgroupPath ?? '')
  }
}
