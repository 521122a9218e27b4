import assert from 'node:assert/strict'
import { test } from 'node:test'
import { between, seededRandom, type Random } from '@cloudless/base'
import { Election, fencedStore, type Term } from '@cloudless/coordinator/simulation'
import { ProcessClock } from './process-clock.ts'
import { RemoteStore } from './remote-store.ts'
import { drive } from './settle.ts'
import { SimulatedDisk } from './simulated-disk.ts'
import { SimulatedStore } from './simulated-store.ts'
import { VirtualClock } from './virtual-clock.ts'

/**
 * Three coordinators that stand for election over one store, each over a way of its own, while they are killed, held up and
 * cut off. Whoever leads adds to one counter and reads it, as a leader reads its own picture.
 */
const ids = ['c1', 'c2', 'c3'] as const
const leaseMs = 2_000
const counterKey = 'counter'

class ElectionWorld {
  readonly clock = new VirtualClock()
  readonly random: Random
  readonly store: SimulatedStore
  readonly processes = new Map<string, Coordinator>()
  /** Terms and who led in them. */
  readonly terms = new Map<number, string>()
  /** Of increments that were acknowledged. */
  acknowledged = 0
  readonly violations: string[] = []

  constructor(seed: number) {
    this.random = seededRandom(seed)
    const disk = new SimulatedDisk(this.random, { syncMsMin: 0.5, syncMsMax: 10 })
    this.store = new SimulatedStore({ clock: this.clock, random: this.random, disk })
  }

  start(id: string): void {
    const coordinator = new Coordinator(this, id)
    this.processes.set(id, coordinator)
    coordinator.election.start()
  }

  /** Those that may speak in the cluster's name, by their own clocks. */
  leaders(): Coordinator[] {
    return [...this.processes.values()].filter(
      ({ process, term, isHeldUp }) => !process.isDead && !isHeldUp && term?.isValid === true,
    )
  }

  check(): void {
    const leaders = this.leaders()
    // One that takes over from a dead one is early on purpose; the dead one is not among those who speak.
    if (leaders.length > 1) {
      this.violations.push(`${leaders.map(({ id }) => id).join(' and ')} lead at once`)
    }
  }

  async run(ms: number, act: () => void): Promise<void> {
    const untilMs = this.clock.monotonicMs() + ms
    let nextActMs = 0
    await drive(() => {
      this.check()
      if (this.clock.monotonicMs() >= nextActMs) {
        act()
        nextActMs = this.clock.monotonicMs() + between(this.random, 50, 1_500)
      }
      const dueMs = this.clock.nextDueMs()
      if (dueMs === undefined || dueMs > untilMs) return false
      this.clock.fireNext()
      return true
    })
  }
}

class Coordinator {
  readonly id: string
  readonly process: ProcessClock
  readonly remote: RemoteStore
  readonly election: Election
  readonly #world: ElectionWorld
  isHeldUp = false
  term: Term | undefined

  constructor(world: ElectionWorld, id: string) {
    this.#world = world
    this.id = id
    this.process = new ProcessClock(world.clock, { offsetMs: 0 })
    const { random, store } = world
    this.remote = new RemoteStore({ world: world.clock, clock: this.process, random, store })
    this.election = new Election(
      {
        clock: this.process,
        random,
        store: this.remote,
        listener: {
          lead: (term) => this.#lead(term),
          onLeader: () => undefined,
          onProblem: () => undefined,
        },
      },
      { id, addresses: [`${id}:8080`], leaseMs },
    )
  }

  async #lead(term: Term): Promise<void> {
    const { terms, violations } = this.#world
    const other = terms.get(term.number)
    if (other !== undefined) violations.push(`${other} and ${this.id} lead in term ${term.number}`)
    terms.set(term.number, this.id)
    this.term = term
    const store = fencedStore({ clock: this.process, store: this.remote })
    store.enter(term)
    while (!term.signal.aborted) await this.#increment(term, store)
    this.term = undefined
  }

  /** Reads what it last wrote, and adds one without another precondition than its term. */
  async #increment(term: Term, store: ReturnType<typeof fencedStore>): Promise<void> {
    const world = this.#world
    const before = await store.get(counterKey).catch(() => undefined)
    const count = before === undefined ? 0 : Number(Buffer.from(before.value).toString())
    if (before === undefined && world.acknowledged > 0) return
    if (term.isValid && !this.isHeldUp && count < world.acknowledged) {
      world.violations.push(
        `${this.id} read ${count} after ${world.acknowledged} were acknowledged`,
      )
    }
    try {
      const value = Buffer.from(String(count + 1))
      await store.transact({ writes: [{ kind: 'put', key: counterKey, value }] })
      world.acknowledged = Math.max(world.acknowledged, count + 1)
    } catch {
      // Not done, or not known to be: nothing was acknowledged.
    }
  }

  kill(): void {
    this.process.kill()
    this.term = undefined
  }
}

for (let seed = 1; seed <= 60; seed++) {
  test(`two never lead at once, and one leads again when all is well (seed ${seed})`, async () => {
    const world = new ElectionWorld(seed)
    for (const id of ids) world.start(id)
    await world.run(120_000, () => disturb(world))
    for (const coordinator of world.processes.values()) {
      coordinator.remote.isCut = false
      coordinator.isHeldUp = false
      coordinator.process.resume()
      if (coordinator.process.isDead) world.start(coordinator.id)
    }
    await world.run(10_000, () => undefined)
    assert.deepEqual(world.violations, [])
    assert.equal(world.leaders().length, 1)
    assert.ok(world.terms.size > 1, `${world.terms.size} terms`)
    assert.ok(world.acknowledged > 20, `${world.acknowledged} increments`)
  })
}

function disturb(world: ElectionWorld): void {
  const { random, processes } = world
  const coordinator = processes.get(ids[Math.floor(between(random, 0, ids.length))]!)!
  const { process, remote, id } = coordinator
  const draw = random.next()
  if (process.isDead) return draw < 0.5 ? world.start(id) : undefined
  if (draw < 0.15) {
    const term = coordinator.term?.number
    coordinator.kill()
    // The others see its port closed.
    if (term !== undefined && random.next() < 0.7) {
      for (const other of processes.values())
        if (other !== coordinator) other.election.leaderDied(term)
    }
  } else if (draw < 0.3) {
    coordinator.isHeldUp = true
    process.suspend()
  } else if (draw < 0.6) {
    coordinator.isHeldUp = false
    process.resume()
  } else if (draw < 0.7) remote.isCut = true
  else if (draw < 0.95) remote.isCut = false
  else if (coordinator.term !== undefined) {
    void coordinator.election
      .handOver(ids[Math.floor(random.next() * ids.length)]!)
      .catch(() => undefined)
  }
}
