/**
 * Elects one of the coordinators through the metadata store: who writes the leader's key leads, for as long as the key stays
 * as it was written. The key is under a lease that the leader renews.
 *
 * Invariants
 *   1. Transactions of a term have its key among their preconditions (`Term.guard`): of an old term none is committed once
 *      a newer one has begun, whatever its leader believes.
 *   2. A term is over by its leader's clock before its lease is over by the store's. So what a leader reads while its term
 *      is valid is the newest there is, unless the store's members disagree about how long a second is by a tenth.
 *   3. Nobody stands while a leader is known, but for one that is surely dead (`leaderDied`): then the key is taken over
 *      in the state it was known in, and the lease is not waited for.
 *   4. This process does not stand again before everything of its last term has stopped.
 */
import { CloudlessError, randomId, sleep, within, type Clock, type Random } from '@cloudless/base'
import type { MetadataStore, Precondition } from '@cloudless/metadata'
import {
  encodeLeader,
  leaderKey,
  leadershipPrefix,
  successorKey,
  withChange,
  withEntry,
  type KnownLeader,
  type LeadershipView,
} from './leader-record.ts'
import { leadsNoLonger, Term } from './term.ts'

export interface ElectionListener {
  /** This coordinator leads until the term's signal is aborted. Resolves when everything of it has stopped. */
  lead(term: Term): Promise<void>
  /** Who leads has changed, as far as is known here; undefined: nobody. */
  onLeader(leader: KnownLeader | undefined): void
  /** The store did not answer, or no term could be won; it is tried again. */
  onProblem(message: string, reason: unknown): void
}

export interface ElectionDeps {
  readonly clock: Clock
  readonly random: Random
  readonly store: MetadataStore
  readonly listener: ElectionListener
}

export interface ElectionOptions {
  readonly id: string
  /** "host:port" where others reach this coordinator. */
  readonly addresses: readonly string[]
  /** Milliseconds; a whole number of seconds. */
  readonly leaseMs: number
}

const retryMs = 100
/** For the store's answer to one who stands. */
const patienceMsMin = 400
const patienceMsMax = 6_400
/** Of a lease, from one renewal to the next. */
const renewalShare = 1 / 2
/** Of a lease, until one that is not answered is asked for again: what RAFT lost in an election is answered after seconds. */
const retryShare = 1 / 8
/** How long the others let a chosen successor go first. */
const successorLeaseMs = 3_000
const releaseMsMax = 1_000
/** Whoever asked for it is answered first. */
const farewellMs = 50

export class Election {
  readonly #deps: ElectionDeps
  readonly #options: ElectionOptions
  readonly #closing = new AbortController()
  #view: LeadershipView = {}
  /** Of the newest change seen. */
  #revision = 0
  #known = false
  #deadTerm = 0
  #patienceMs = patienceMsMin
  #term: Term | undefined
  #wake: () => void = () => undefined
  #running: readonly Promise<void>[] = []

  constructor(deps: ElectionDeps, options: ElectionOptions) {
    this.#deps = deps
    this.#options = options
  }

  /** As far as is known here. */
  get leader(): KnownLeader | undefined {
    return this.#view.leader
  }

  start(): void {
    this.#running = [this.#follow(), this.#stand()]
  }

  /** The leader of this term is surely dead, and another may lead at once. */
  leaderDied(term: number): void {
    this.#deadTerm = term
    this.#wake()
  }

  /** Lets another coordinator lead, soon after it resolves. `failed_precondition` when this one does not. */
  async handOver(successorId: string): Promise<void> {
    const { clock, store } = this.#deps
    const term = this.#term
    if (term === undefined) {
      throw new CloudlessError(
        'failed_precondition',
        'only the leader can hand over its leadership',
      )
    }
    const leaseId = await store.grantLease(successorLeaseMs)
    const value = Buffer.from(successorId)
    await store.transact({
      preconditions: [term.guard],
      writes: [{ kind: 'put', key: successorKey, value, leaseId }],
    })
    clock.after(farewellMs, () => term.end(leadsNoLonger(`it has handed over to ${successorId}`)))
  }

  /** Ends the term there is, lets the others know, and stands no more. */
  async close(): Promise<void> {
    this.#term?.end(leadsNoLonger('it is shutting down'))
    this.#closing.abort()
    this.#wake()
    await Promise.all(this.#running)
  }

  // --- following

  async #follow(): Promise<void> {
    const { signal } = this.#closing
    while (!signal.aborted) {
      try {
        await this.#readAll()
        await this.#watch(signal)
      } catch (reason) {
        if (signal.aborted) return
        this.#deps.listener.onProblem('following the leadership', reason)
        await this.#pause()
      }
    }
  }

  async #readAll(): Promise<void> {
    const { entries, revision } = await this.#deps.store.list(leadershipPrefix)
    this.#see(entries.reduce(withEntry, {}), revision)
  }

  async #watch(signal: AbortSignal): Promise<void> {
    const fromRevision = this.#revision
    const batches = this.#deps.store.watch(leadershipPrefix, { fromRevision, signal })
    for await (const { changes, revision } of batches) {
      this.#see(changes.reduce(withChange, this.#view), revision)
    }
  }

  #see(view: LeadershipView, revision: number): void {
    const before = this.#known ? this.#view.leader?.term : -1
    this.#view = view
    this.#revision = revision
    this.#known = true
    const term = this.#term
    if (term !== undefined && revision >= term.number && view.leader?.term !== term.number) {
      term.end(leadsNoLonger('another one was elected, or its lease has ended'))
    }
    if (before !== view.leader?.term) this.#deps.listener.onLeader(view.leader)
    this.#wake()
  }

  // --- standing

  async #stand(): Promise<void> {
    const { listener } = this.#deps
    const { signal } = this.#closing
    while (!signal.aborted) {
      const open = this.#openPlace()
      if (open === undefined) {
        await new Promise<void>((resolve) => (this.#wake = resolve))
        continue
      }
      try {
        const term = await this.#win(open)
        if (term === undefined) await this.#pause()
        else await this.#lead(term)
      } catch (reason) {
        listener.onProblem('standing for election', reason)
        await this.#pause()
      }
    }
  }

  /** What must hold for this coordinator to take the lead now; undefined while it should not. */
  #openPlace(): Precondition | undefined {
    if (!this.#known) return undefined
    const { leader, successorId } = this.#view
    if (successorId !== undefined && successorId !== this.#options.id) return undefined
    if (leader === undefined) return { kind: 'absent', key: leaderKey }
    const isOver = leader.term === this.#deadTerm || leader.id === this.#options.id
    // One of our own name is of a process before this one: the place on disk is ours, so it is gone.
    return isOver ? { kind: 'unchanged', key: leaderKey, modRevision: leader.term } : undefined
  }

  async #win(open: Precondition): Promise<Term | undefined> {
    const { clock, random, store } = this.#deps
    const { id, addresses, leaseMs } = this.#options
    const askedAtMs = clock.monotonicMs()
    const leaseId = await this.#soon(store.grantLease(leaseMs))
    const attempt = randomId(random, 16)
    const value = encodeLeader({ id, addresses, attempt })
    const number = await this.#write(open, value, leaseId)
    if (number === undefined) {
      void store.revokeLease(leaseId).catch(() => undefined) // It ends by itself.
      return undefined
    }
    this.#patienceMs = patienceMsMin
    return new Term(clock, { number, leaseId, askedAtMs, leaseMs })
  }

  /** The revision it was written with; undefined when another was sooner. */
  async #write(
    open: Precondition,
    value: Uint8Array,
    leaseId: string,
  ): Promise<number | undefined> {
    const { store } = this.#deps
    const writes = [{ kind: 'put', key: leaderKey, value, leaseId } as const]
    try {
      const result = await this.#soon(store.transact({ preconditions: [open], writes }))
      return result.kind === 'committed' ? result.revision : undefined
    } catch (reason) {
      if (CloudlessError.from(reason).details['outcome'] !== 'unknown') throw reason
      const found = await this.#soon(store.get(leaderKey))
      const isOurs = found !== undefined && Buffer.compare(found.value, value) === 0
      return isOurs ? found.modRevision : undefined
    }
  }

  async #lead(term: Term): Promise<void> {
    this.#term = term
    const renewing = this.#renew(term)
    try {
      if (this.#closing.signal.aborted) term.end(leadsNoLonger('it is shutting down'))
      await this.#deps.listener.lead(term)
    } finally {
      term.end(leadsNoLonger('it has stopped'))
      this.#term = undefined
      await renewing
      await this.#release(term)
    }
  }

  async #renew(term: Term): Promise<void> {
    const { clock } = this.#deps
    const { leaseMs } = this.#options
    let askedAtMs = clock.monotonicMs()
    let renewedAtMs = askedAtMs
    while (!term.signal.aborted) {
      const dueMs = Math.max(askedAtMs + retryShare * leaseMs, renewedAtMs + renewalShare * leaseMs)
      const waitMs = dueMs - clock.monotonicMs()
      if (waitMs > 0) {
        // Asked again afterwards: meanwhile it may have been renewed, or ended.
        await sleep(clock, waitMs, term.signal).catch(() => undefined)
        continue
      }
      askedAtMs = clock.monotonicMs()
      // One that is slow must not keep the next from being tried.
      void this.#renewOnce(term, askedAtMs).then((atMs) => {
        renewedAtMs = Math.max(renewedAtMs, atMs)
      })
    }
  }

  /** When it was asked, if it was renewed; otherwise a time that is long past. */
  async #renewOnce(term: Term, askedAtMs: number): Promise<number> {
    const { store, listener } = this.#deps
    try {
      if (await store.keepLeaseAlive(term.leaseId)) {
        term.renewed(askedAtMs)
        return askedAtMs
      }
      term.end(leadsNoLonger('its lease has ended'))
    } catch (reason) {
      if (!term.signal.aborted) listener.onProblem('renewing the lease of the leader', reason)
    }
    return Number.NEGATIVE_INFINITY
  }

  /** The others need not wait for the lease to run out. Not waited for without end: it runs out anyway. */
  async #release(term: Term): Promise<void> {
    const { clock, store, listener } = this.#deps
    const waited = new AbortController()
    const released = store.revokeLease(term.leaseId).catch((reason: unknown) => {
      if (!this.#closing.signal.aborted) listener.onProblem('giving back the lead', reason)
    })
    // Aborted: it was released.
    await Promise.race([released, sleep(clock, releaseMsMax, waited.signal).catch(() => undefined)])
    waited.abort()
  }

  /**
   * What was asked while the store's members had no leader of their own may be lost in it, and is answered late. A lease
   * too many ends by itself, and a key that is written late is found: it is asked again, each time with more patience.
   */
  #soon<T>(answer: Promise<T>): Promise<T> {
    const patienceMs = this.#patienceMs
    return within(this.#deps.clock, patienceMs, answer, () => {
      this.#patienceMs = Math.min(2 * patienceMs, patienceMsMax)
      const message = `the metadata store did not answer within ${patienceMs} ms`
      return new CloudlessError('unavailable', message, { details: { outcome: 'unknown' } })
    })
  }

  #pause(): Promise<void> {
    // Aborted: the caller looks at the signal.
    return sleep(this.#deps.clock, retryMs, this.#closing.signal).catch(() => undefined)
  }
}
