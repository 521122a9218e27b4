/**
 * Keeps this machine's containers as they were assigned, with or without a coordinator.
 *
 *   1. What is assigned is on disk before anything is done about it; what the disk refuses holds up nothing else.
 *   2. After a restart of the agent, what runs is adopted: same container, no restart.
 *   3. What does not run (the machine has booted) waits for the coordinator's word, and starts without it when `release` is
 *      called; a replica that was moved elsewhere meanwhile should not come up twice.
 *   4. A container of ours that no record explains is removed.
 */
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { create } from '@bufbuild/protobuf'
import {
  AssignmentUpdateSchema,
  type Assignment,
  type AssignmentUpdate,
  type ReplicaObservation,
} from '@cloudless/api'
import { CloudlessError, KeyedSerialQueue, Semaphore, type Clock } from '@cloudless/base'
import type { ContainerInfo, Runtime } from '@cloudless/runtime'
import type { AgentLogger } from '../logger.ts'
import { planAdoption } from './adoption.ts'
import type { AssignmentRecord } from './assignment-record.ts'
import { ObservationOutbox, type ObservationListener } from './observation-outbox.ts'
import { planAssignments, type PlannedStop } from './plan-assignments.ts'
import { RecordKeeper } from './record-keeper.ts'
import { recordDiffers, replicaOfRecord, type ReplicaFacts } from './record-of-replica.ts'
import { RefusedAssignments, refusedObservation } from './refused-assignments.ts'
import { ReplicaActor, type ReplicaMetrics } from './replica-actor.ts'
import { goneObservation, observeReplica } from './replica-observation.ts'
import { newReplica, type ReplicaMachine } from './replica-state.ts'
import { RuntimeWatch, type ContainersById } from './runtime-watch.ts'
import { withoutProbes } from './spec-probes.ts'
import { StrayContainers } from './stray-containers.ts'

export interface SupervisorDeps {
  readonly clock: Clock
  readonly runtime: Runtime
  readonly record: AssignmentRecord
  readonly logger: AgentLogger
  readonly metrics: ReplicaMetrics
  /** Removes the directory of a replica's log; from the disk when not given. */
  readonly removeLog?: (directory: string) => Promise<void>
}

export interface SupervisorOptions {
  readonly dataDirectory: string
  /** Changes with each boot of the machine. */
  readonly bootId: string
  /** Containers made at once; 4 when not given. More only makes each slower. */
  readonly startConcurrency?: number
  /** False: containers count as ready without being asked, and are not restarted for their probes. */
  readonly probesEnabled?: boolean
}

export class Supervisor {
  readonly #deps: SupervisorDeps
  readonly #options: SupervisorOptions
  readonly #actors = new Map<string, ReplicaActor>()
  readonly #queue = new KeyedSerialQueue()
  readonly #keeper: RecordKeeper
  readonly #starts: Semaphore
  readonly #outbox: ObservationOutbox
  readonly #updates = new KeyedSerialQueue()
  readonly #refused: RefusedAssignments
  readonly #runtime: RuntimeWatch
  /** Containers of ours without a record, kept while a damaged record may have been theirs. */
  readonly #strays: StrayContainers
  readonly #stopsPending: PlannedStop[] = []
  readonly #beginsPending = new Set<string>()
  readonly #readyBefore = new Set<string>()
  #adopted = false
  #released = false
  #recordsDamaged = false
  #leaving = false

  constructor(deps: SupervisorDeps, options: SupervisorOptions) {
    this.#deps = deps
    this.#options = options
    this.#starts = new Semaphore(options.startConcurrency ?? 4)
    this.#outbox = new ObservationOutbox(deps.clock)
    this.#keeper = new RecordKeeper(deps, { bootId: options.bootId })
    this.#strays = new StrayContainers(deps, this.#queue)
    this.#runtime = new RuntimeWatch(deps, {
      onContainers: (present) => this.#join(present),
      onExit: (exit) => this.#actors.get(exit.containerId)?.exitReported(exit),
    })
    this.#refused = new RefusedAssignments(deps.clock, () => this.#applyRefused())
  }

  /** Reads the record, adopts what runs and follows the runtime's events. */
  async start(): Promise<void> {
    const { records, damaged } = await this.#deps.record.load()
    for (const message of damaged) this.#deps.logger.error({}, message)
    this.#recordsDamaged = damaged.length > 0
    for (const record of records) {
      const { replicaId } = this.#actorFor(replicaOfRecord(record), record)
      if (record.ready) this.#readyBefore.add(replicaId)
      if (record.stopping === null) continue
      const graceMs = record.stopping.graceMs ?? undefined
      this.#stopsPending.push({ replicaId, graceMs, reason: 'resumed' })
    }
    await this.#runtime.start()
  }

  /** Whether the runtime answered when last asked. */
  get runtimeReady(): boolean {
    return this.#runtime.ready
  }

  replicas(): Iterable<ReplicaActor> {
    return this.#actors.values()
  }

  /** By replica or container id. */
  find(id: string): ReplicaActor | undefined {
    return this.#actors.get(id)
  }

  /** Every assigned replica as it is now; those run by hand are not the coordinator's. */
  observations(): ReplicaObservation[] {
    return this.#assigned().map((actor) => this.#outbox.number(observeReplica(actor.state)))
  }

  /** The one listener is told of changes, all those of one turn of the event loop together. */
  listen(listener: ObservationListener | undefined): void {
    this.#outbox.listen(listener)
  }

  /**
   * Acts on the update once it is on disk. `recorded` is false when the disk refused some of it: that is reported and
   * tried again until it can be written or another update says otherwise.
   */
  apply(update: AssignmentUpdate): Promise<{ readonly recorded: boolean }> {
    // A session may begin while the update of the one before is still being written.
    return this.#updates.run('updates', () => this.#applyNow(update))
  }

  #applyRefused(): void {
    void this.#updates.run('updates', () =>
      this.#applyNow(create(AssignmentUpdateSchema, { upsert: this.#refused.take() })),
    )
  }

  async #applyNow(update: AssignmentUpdate): Promise<{ readonly recorded: boolean }> {
    if (this.#leaving) return { recorded: false }
    if (update.full) this.#refused.take()
    for (const { replicaId } of [...update.upsert, ...update.stop]) this.#refused.drop(replicaId)
    const known = new Map(
      [...this.#actors].map(([replicaId, actor]) => [
        replicaId,
        { assignment: actor.state.assignment, adHoc: actor.options.adHoc },
      ]),
    )
    const plan = planAssignments(known, update)
    await Promise.all(plan.stop.map((stop) => this.#recordStop(stop)))
    for (const stop of plan.stop) this.#stop(stop)
    for (const replicaId of plan.gone) this.#outbox.push(goneObservation(replicaId))
    const fresh = plan.create.map((assignment) => newReplica(this.#effective(assignment)))
    const changed = plan.replace.flatMap((assignment) => {
      const actor = this.#actors.get(assignment.replicaId)
      return actor ? [{ actor, assignment: this.#effective(assignment) }] : []
    })
    const begun = await Promise.all([
      ...fresh.map(async (state) => {
        if (!(await this.#recordAssignment(state, byCoordinator))) return undefined
        return this.#actorFor(state)
      }),
      ...changed.map(async ({ actor, assignment }) => {
        const state = { ...actor.state, assignment }
        if (!(await this.#recordAssignment(state, actor.options))) return undefined
        actor.send({ kind: 'replace', assignment })
        return actor
      }),
    ])
    for (const actor of begun) if (actor) this.#begin(actor.replicaId)
    for (const replicaId of plan.keep) this.#begin(replicaId)
    if (update.full) this.#strays.removeAll()
    return { recorded: !begun.includes(undefined) }
  }

  async #recordAssignment(state: ReplicaMachine, facts: ReplicaFacts): Promise<boolean> {
    const { assignment } = state
    const { replicaId } = assignment
    try {
      await this.#keeper.save(state, facts)
      return true
    } catch (reason) {
      const error = CloudlessError.from(reason)
      this.#deps.logger.error({ replicaId, code: error.code }, error.message)
      this.#refused.add(assignment)
      if (!this.#actors.has(replicaId)) this.#outbox.push(refusedObservation(replicaId, error))
      return false
    }
  }

  /** Without a word from a coordinator: what is recorded and does not run is started. */
  release(): void {
    if (this.#released) return
    this.#released = true
    for (const { replicaId, state } of this.#actors.values()) {
      if (!state.suspended) this.#begin(replicaId)
    }
  }

  /** The coordinator has not been heard for too long: it is stopped, and begun when it is assigned again. */
  suspend(replicaId: string, message: string): void {
    this.#actors.get(replicaId)?.send({ kind: 'suspend', message })
  }

  /** As they are now, without those run by hand. */
  assigned(): ReplicaMachine[] {
    return this.#assigned().map((actor) => actor.state)
  }

  /** A container of no workload. Its assignment's id is the container's. Durable when it resolves. */
  async runByHand(assignment: Assignment, idempotencyKey: string): Promise<void> {
    const present = this.#actors.get(assignment.replicaId)
    if (present !== undefined) {
      if (idempotencyKey !== '' && present.options.idempotencyKey === idempotencyKey) return
      throw new CloudlessError(
        'already_exists',
        `a container ${assignment.replicaId} exists on this node; stop it with remove, or choose another name`,
      )
    }
    const state = newReplica(this.#effective(assignment))
    const facts = { adHoc: true, idempotencyKey }
    await this.#keeper.save(state, facts)
    if (this.#actors.has(assignment.replicaId)) return // The same call came twice at once.
    this.#actorFor(state, facts)
    this.#begin(assignment.replicaId)
  }

  /** The agent leaves: containers stay, and everything known of them is on disk when it resolves. */
  async close(): Promise<void> {
    this.#refused.close()
    const unwatched = this.#runtime.close()
    for (const actor of this.#actors.values()) actor.close()
    await unwatched
    await this.#keeper.idle()
  }

  /** Stops and removes everything, by hand or assigned: the membership has ended. */
  async stopAll(signal: AbortSignal): Promise<void> {
    this.#leaving = true
    this.#refused.close()
    // What is being written down at this moment would otherwise start behind our back.
    await this.#updates.run('updates', () => Promise.resolve())
    const replicaIds = [...this.#actors.keys()]
    for (const replicaId of replicaIds)
      this.#stop({ replicaId, graceMs: undefined, reason: 'evicted' })
    await this.until(() => this.#actors.size === 0, signal)
  }

  /** Resolves once the condition holds; it is looked at after every change. Rejects when aborted. */
  async until(condition: () => boolean, signal: AbortSignal): Promise<void> {
    while (!condition()) {
      signal.throwIfAborted()
      await this.#outbox.nextChange(signal)
    }
  }

  #assigned(): ReplicaActor[] {
    return [...this.#actors.values()].filter((actor) => !actor.options.adHoc)
  }

  #actorFor(state: ReplicaMachine, facts: ReplicaFacts = byCoordinator): ReplicaActor {
    const { replicaId } = state.assignment
    const { clock, runtime, logger, metrics } = this.#deps
    const queues = { queue: this.#queue, starts: this.#starts }
    const actor = new ReplicaActor(
      { clock, runtime, logger, metrics, ...queues },
      {
        adHoc: facts.adHoc,
        idempotencyKey: facts.idempotencyKey,
        logPath: join(this.#logDirectory(replicaId), 'container.log'),
        volumeDirectory: join(this.#options.dataDirectory, 'volumes', replicaId),
        onChange: (changed, before) => this.#changed(changed, before),
      },
      state,
    )
    this.#actors.set(replicaId, actor)
    return actor
  }

  #logDirectory(replicaId: string): string {
    return join(this.#options.dataDirectory, 'logs', replicaId)
  }

  #effective(assignment: Assignment): Assignment {
    const { spec } = assignment
    if (this.#options.probesEnabled !== false || spec === undefined) return assignment
    return { ...assignment, spec: withoutProbes(spec) }
  }

  #changed(actor: ReplicaActor, before: ReplicaMachine): void {
    const { state } = actor
    if (state.stage !== before.stage) {
      const { replicaId } = actor
      const fields = { replicaId, workloadId: state.assignment.workloadId, reason: state.reason }
      this.#deps.logger.info(fields, `replica ${replicaId}: ${before.stage} -> ${state.stage}`)
    }
    if (!actor.options.adHoc) this.#outbox.push(observeReplica(state))
    else this.#outbox.touched()
    if (state.stage === 'removed') this.#forget(actor)
    else if (recordDiffers(before, state)) {
      const isKept = (): boolean => this.#actors.get(actor.replicaId) === actor
      this.#keeper.saveSoon(actor.replicaId, () => (isKept() ? actor : undefined))
    }
  }

  #forget(actor: ReplicaActor): void {
    actor.close()
    this.#actors.delete(actor.replicaId)
    const { removeLog = removeDirectory } = this.#deps
    this.#keeper.removeSoon(actor.replicaId, () => removeLog(this.#logDirectory(actor.replicaId)))
  }

  #stop(stop: PlannedStop): void {
    if (!this.#adopted) {
      this.#stopsPending.push(stop)
      return
    }
    const { replicaId, reason, graceMs, delayMs = 0 } = stop
    this.#deps.logger.info({ replicaId, reason }, `stopping replica ${replicaId}: ${reason}`)
    this.#actors.get(replicaId)?.send({ kind: 'stop', graceMs, delayMs })
  }

  /** Starts it unless it runs, once it is known what runs. */
  #begin(replicaId: string): void {
    if (!this.#adopted) {
      this.#beginsPending.add(replicaId)
      return
    }
    const actor = this.#actors.get(replicaId)
    const stray = this.#strays.take(replicaId)
    if (actor === undefined) return
    if (stray !== undefined) this.#adoptOne(actor, stray)
    else actor.send({ kind: 'begin' })
  }

  // --- the runtime

  /** Joins what there is with what should be. */
  #join(present: ContainersById): void {
    if (this.#adopted) this.#reconcile(present)
    else this.#adoptAll(present)
    for (const actor of this.#actors.values()) actor.send({ kind: 'runtime-available' })
  }

  #adoptAll(present: ContainersById): void {
    this.#adopted = true
    for (const container of present.values()) {
      const actor = this.#actors.get(container.containerId)
      if (actor === undefined) this.#strays.add(container)
      else this.#adoptOne(actor, container)
    }
    if (!this.#recordsDamaged) this.#strays.removeAll()
    for (const stop of this.#stopsPending.splice(0)) this.#stop(stop)
    for (const replicaId of this.#beginsPending) this.#begin(replicaId)
    this.#beginsPending.clear()
    this.#readyBefore.clear()
  }

  #adoptOne(actor: ReplicaActor, container: ContainerInfo): void {
    const { replicaId, state } = actor
    const events = planAdoption(state, container, this.#readyBefore.has(replicaId))
    for (const event of events) actor.send(event)
    if (events.length === 0 || container.state !== 'running') return
    this.#deps.logger.info({ replicaId }, `replica ${replicaId} still runs: adopted`)
  }

  /** Some news may have been missed: what should run and does not is asked about again, in its turn. */
  #reconcile(present: ContainersById): void {
    for (const actor of this.#actors.values()) {
      if (actor.state.stage !== 'running') continue
      if (present.get(actor.state.containerId)?.state !== 'running') actor.lookAgain()
    }
  }

  // --- the disk

  /** A stop is worth doing even where it cannot be written: on a full disk it is what makes room. */
  async #recordStop(stop: PlannedStop): Promise<void> {
    const actor = this.#actors.get(stop.replicaId)
    if (actor === undefined) return
    const leaving = { ...actor.state, stage: 'removing', graceMs: stop.graceMs } as const
    try {
      await this.#keeper.save(leaving, actor.options)
    } catch (reason) {
      const { code, message } = CloudlessError.from(reason)
      this.#deps.logger.error({ replicaId: stop.replicaId, code }, message)
    }
  }
}

function removeDirectory(directory: string): Promise<void> {
  return rm(directory, { recursive: true, force: true })
}

const byCoordinator = { adHoc: false, idempotencyKey: '' } as const
