/**
 * One replica alive: feeds events to its machine and performs what the machine asks for.
 *
 * Effects run one after another on the replica's queue and each ends in an event, so the machine's invariants hold
 * against the real runtime too. Nothing here decides anything.
 */
import type { WorkloadSpec } from '@cloudless/api'
import { CloudlessError, type Clock, type KeyedSerialQueue, type Semaphore } from '@cloudless/base'
import type { ContainerRequest, Runtime } from '@cloudless/runtime'
import type { AgentLogger } from '../logger.ts'
import { ReplicaProber, type ProbeObserver } from '../probes/replica-prober.ts'
import { stepReplica } from './replica-machine.ts'
import { hasProbes } from './spec-probes.ts'
import type { ReplicaEffect, ReplicaEvent, ReplicaMachine, RestartCause } from './replica-state.ts'

export interface ReplicaMetrics extends ProbeObserver {
  restarted(cause: RestartCause): void
  restartRefused(): void
  operation(name: 'pull' | 'start' | 'stop' | 'remove', result: string, durationMs: number): void
  forgotten(containerId: string): void
}

export interface ReplicaActorDeps {
  readonly clock: Clock
  readonly runtime: Runtime
  readonly logger: AgentLogger
  readonly metrics: ReplicaMetrics
  readonly queue: KeyedSerialQueue
  /** Starts at once on the whole node. */
  readonly starts: Semaphore
}

export interface ReplicaActorOptions {
  readonly adHoc: boolean
  readonly idempotencyKey: string
  /** The file its log is written to. */
  readonly logPath: string
  readonly volumeDirectory: string
  readonly onChange: (actor: ReplicaActor, before: ReplicaMachine) => void
}

export class ReplicaActor {
  readonly options: ReplicaActorOptions
  readonly #deps: ReplicaActorDeps
  #state: ReplicaMachine
  #pullAbort = new AbortController()
  #cancelTimer: () => void = () => {}
  #timerAtMs: number | undefined
  #prober: ReplicaProber | undefined
  #closed = false

  constructor(deps: ReplicaActorDeps, options: ReplicaActorOptions, state: ReplicaMachine) {
    this.#deps = deps
    this.options = options
    this.#state = state
  }

  get state(): ReplicaMachine {
    return this.#state
  }

  get replicaId(): string {
    return this.#state.assignment.replicaId
  }

  send(event: ReplicaEvent): void {
    if (this.#closed) return
    const { clock } = this.#deps
    const now = { monotonicMs: clock.monotonicMs(), wallMs: clock.wallMs() }
    const before = this.#state
    const step = stepReplica(before, event, now)
    this.#state = step.state
    for (const effect of step.effects) this.#perform(effect)
    this.#keepTimer()
    this.#keepProber(before)
    if (before !== step.state) this.options.onChange(this, before)
  }

  /**
   * Its process has ended, says the runtime. Looked at in turn with its other operations, because the news may be about
   * a run that has been replaced since.
   */
  exitReported(exit: { exitCode: number; oomKilled: boolean; finishedAtMs: number }): void {
    void this.#inTurn(async () => {
      const container = await this.#deps.runtime.get(this.#state.containerId)
      if (container?.state === 'running') return
      this.send({ kind: 'exited', ...exit })
    })
  }

  /** Its end may have been missed: asks the runtime. */
  lookAgain(): void {
    void this.#inTurn(async () => {
      if (this.#state.stage !== 'running') return
      const container = await this.#deps.runtime.get(this.#state.containerId)
      if (container === undefined) return this.send({ kind: 'vanished' })
      if (container.state !== 'stopped') return
      const { exitCode, finishedAtMs } = container
      this.send({ kind: 'exited', exitCode, oomKilled: false, finishedAtMs })
    })
  }

  /** Runs `task` when nothing else is under way for this replica; never rejects. */
  async #inTurn(task: () => Promise<void>): Promise<void> {
    try {
      await this.#deps.queue.run(this.replicaId, task)
    } catch (reason) {
      const error = CloudlessError.from(reason)
      this.#deps.logger.warn({ replicaId: this.replicaId, code: error.code }, error.message)
    }
  }

  /** The agent leaves: nothing more is done or told, and the container stays. */
  close(): void {
    this.#closed = true
    this.#pullAbort.abort()
    this.#cancelTimer()
    this.#prober?.close()
    this.#prober = undefined
  }

  #perform(effect: ReplicaEffect): void {
    const { metrics } = this.#deps
    switch (effect.kind) {
      case 'cancel-pull':
        return this.#pullAbort.abort()
      case 'count-restart':
        return metrics.restarted(effect.cause)
      case 'count-restart-refused':
        return metrics.restartRefused()
      case 'pull':
        this.#pullAbort = new AbortController()
        return this.#operate('pull', () => this.#pull())
      case 'start':
        return this.#operate('start', () => this.#start())
      case 'stop':
        return this.#operate('stop', () => this.#stop(effect.graceMs))
      case 'hurry':
        return this.#hurry(effect.graceMs)
      case 'remove':
        return this.#operate('remove', () => this.#remove())
    }
  }

  #operate(name: 'pull' | 'start' | 'stop' | 'remove', act: () => Promise<ReplicaEvent>): void {
    void this.#deps.queue.run(this.replicaId, async () => {
      const startMs = this.#deps.clock.monotonicMs()
      let result = 'success'
      let event: ReplicaEvent
      try {
        event = await act()
      } catch (reason) {
        const error = CloudlessError.from(reason)
        result = error.code
        event = failureOf(name, error)
        const level = error.code === 'cancelled' ? 'debug' : 'warn'
        const fields = { replicaId: this.replicaId, operation: name, code: error.code }
        this.#deps.logger[level](fields, `cannot ${name} the container: ${error.message}`)
      }
      this.#deps.metrics.operation(name, result, this.#deps.clock.monotonicMs() - startMs)
      this.send(event)
    })
  }

  async #pull(): Promise<ReplicaEvent> {
    const { image, imagePullPolicy } = this.#spec
    const signal = this.#pullAbort.signal
    await this.#deps.runtime.pull(image, { policy: imagePullPolicy, signal })
    return { kind: 'pulled' }
  }

  async #start(): Promise<ReplicaEvent> {
    const container = await this.#deps.starts.run(() => this.#deps.runtime.start(this.#request()))
    const startedAtMs = container.startedAtMs || this.#deps.clock.wallMs()
    return { kind: 'started', address: container.address, startedAtMs }
  }

  async #stop(graceMs: number): Promise<ReplicaEvent> {
    const exit = await this.#deps.runtime.stop(this.#state.containerId, graceMs)
    return {
      kind: 'stop-done',
      exitCode: exit?.exitCode,
      oomKilled: exit?.oomKilled ?? false,
      finishedAtMs: exit?.finishedAtMs ?? this.#deps.clock.wallMs(),
    }
  }

  /** Beside the stop that waits for the longer grace; that one ends with the container. */
  #hurry(graceMs: number): void {
    void this.#deps.runtime.stop(this.#state.containerId, graceMs).catch((reason: unknown) => {
      const { code, message } = CloudlessError.from(reason)
      const fields = { replicaId: this.replicaId, code }
      this.#deps.logger.warn(fields, `cannot end the container sooner: ${message}`)
    })
  }

  async #remove(): Promise<ReplicaEvent> {
    await this.#deps.runtime.remove(this.#state.containerId)
    this.#deps.metrics.forgotten(this.#state.containerId)
    return { kind: 'remove-done' }
  }

  #request(): ContainerRequest {
    const { assignment, address, containerId } = this.#state
    return {
      containerId,
      replicaId: assignment.replicaId,
      workloadId: assignment.workloadId,
      workloadName: assignment.workloadName,
      namespace: assignment.namespace,
      fragmentId: assignment.fragmentId,
      hostname: assignment.replicaId,
      spec: this.#spec,
      volumeDirectory: this.options.volumeDirectory,
      logPath: this.options.logPath,
      ...(address === '' ? {} : { address }),
    }
  }

  get #spec(): WorkloadSpec {
    return this.#state.assignment.spec!
  }

  #keepTimer(): void {
    const atMs = this.#state.timerAtMs
    if (atMs === this.#timerAtMs) return
    this.#cancelTimer()
    this.#cancelTimer = () => {}
    this.#timerAtMs = atMs
    if (atMs === undefined) return
    const delayMs = Math.max(0, atMs - this.#deps.clock.monotonicMs())
    this.#cancelTimer = this.#deps.clock.after(Math.ceil(delayMs), () => {
      this.#timerAtMs = undefined
      this.send({ kind: 'timer' })
      this.#keepTimer() // A timer that came a little early is armed again.
    })
  }

  #keepProber(before: ReplicaMachine): void {
    const running = this.#state.stage === 'running'
    if (!running) {
      this.#prober?.close()
      this.#prober = undefined
    } else if (this.#prober === undefined && hasProbes(this.#spec)) {
      const adopted = before.stage === 'new'
      this.#prober = new ReplicaProber(
        { clock: this.#deps.clock, runtime: this.#deps.runtime, observer: this.#deps.metrics },
        {
          target: { containerId: this.#state.containerId, address: this.#state.address },
          spec: this.#spec,
          startedMonotonicMs: this.#state.startedMonotonicMs,
          readyBefore: adopted && this.#state.ready,
        },
        {
          onReadiness: (ready, message) => this.send({ kind: 'readiness', ready, message }),
          onFailure: (probe, message) => this.send({ kind: 'probe-failed', probe, message }),
          onRecovery: () => this.send({ kind: 'probe-recovered' }),
        },
      )
      // Only now: what it says at once leads back to here.
      this.#prober.start()
    }
  }
}

function failureOf(name: string, error: CloudlessError): ReplicaEvent {
  const { code, message } = error
  if (name === 'pull') return { kind: 'pull-failed', code, message }
  if (name === 'start') return { kind: 'start-failed', code, message }
  return name === 'stop' ? { kind: 'stop-failed', message } : { kind: 'remove-failed', message }
}
