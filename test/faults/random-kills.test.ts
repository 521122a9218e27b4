/**
 * Coordinator, agents, containerds and whole machines are killed at random moments, and cables pulled, while somebody
 * works with the cluster. Afterwards everything that was acknowledged is true.
 * CLOUDLESS_TEST_SEED repeats a run's choices.
 */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { between, pick, seededRandom, sleep, systemClock, type Random } from '@cloudless/base'
import {
  manifestOf,
  startCluster,
  waitUntilSettled,
  type Cluster,
  type WorkloadWish,
} from '@cloudless/test/testkit'

const nodeNames = ['a', 'b', 'c']
const workloadNames = ['one', 'two', 'three', 'four']
const rounds = Number(process.env['CLOUDLESS_TEST_ROUNDS'] ?? 5)
const callsPerRound = 5
const gone = -1

let cluster: Cluster

before(async () => {
  cluster = await startCluster({
    prefix: 'tkills',
    subnet: '10.80.30',
    agents: nodeNames.map((name) => ({ name, cpuCores: 2, memoryMb: 1024 })),
  })
})

after(() => cluster?.stop())

test('whatever is killed whenever, what was acknowledged holds, and nothing else runs', async (t) => {
  const seed = Number(process.env['CLOUDLESS_TEST_SEED'] ?? 20_261_120)
  t.diagnostic(`seed ${seed}`)
  const random = seededRandom(seed)
  const user = new User(random)
  for (let round = 0; round < rounds; round++) {
    const history: string[] = []
    // Two at a time, on different machines: each is brought back by who killed it.
    const [first, second] = shuffled(random, ['coordinator', ...nodeNames])
    const faults = Promise.allSettled(
      [first!, second!].map((place) => killAt(place, random, history)),
    )
    for (let n = 0; n < callsPerRound; n++) history.push(await user.act())
    for (const fault of await faults) if (fault.status === 'rejected') throw fault.reason
    try {
      await waitUntilSettled(cluster, nodeNames, user.expectations)
    } catch (reason) {
      assert.fail(`round ${round}, seed ${seed}: ${history.join('; ')}\n${String(reason)}`)
    }
    // From here on it is known what became of calls without an answer.
    await user.look()
  }
})

/** Works through the CLI, and remembers what was said. */
class User {
  readonly expectations = new Map<string, ReadonlySet<number>>()
  readonly #random: Random

  constructor(random: Random) {
    this.#random = random
  }

  /** One call, whether it succeeds or not; says which and how it ended. */
  async act(): Promise<string> {
    const name = pick(this.#random, workloadNames)!
    const replicas = Math.floor(between(this.#random, 0, 4))
    const verb = pick(this.#random, ['apply', 'scale', 'delete', 'apply', 'restart'])!
    const before = this.expectations.get(name) ?? new Set([gone])
    const { args, input, leaves } = callOf(verb, name, replicas)
    const { code } = await cluster.ctl.run(args, input === undefined ? {} : { input })
    if (code === 0) this.expectations.set(name, leaves ?? before)
    else this.expectations.set(name, new Set([...before, ...(leaves ?? [])]))
    return `${verb} ${name} ${replicas} -> ${code}`
  }

  async look(): Promise<void> {
    const items = await cluster.ctl.items<{ name: string; spec?: { replicas?: number } }>([
      ...['workload', 'list'],
    ])
    for (const name of this.expectations.keys()) {
      const found = items.find((item) => item.name === name)
      this.expectations.set(name, new Set([found ? (found.spec?.replicas ?? 0) : gone]))
    }
  }
}

/** `leaves`: the numbers of replicas there are once it is carried out; undefined: as before. */
function callOf(
  verb: string,
  name: string,
  replicas: number,
): { args: string[]; input?: string; leaves?: ReadonlySet<number> } {
  switch (verb) {
    case 'scale':
      return {
        args: ['workload', 'scale', name, '--replicas', String(replicas)],
        leaves: new Set([replicas]),
      }
    case 'delete':
      return { args: ['workload', 'delete', name], leaves: new Set([gone]) }
    case 'restart':
      return { args: ['workload', 'restart', name] }
    default:
      return {
        args: ['apply', '-f', '-'],
        input: manifestOf(sleeping(name, replicas)),
        leaves: new Set([replicas]),
      }
  }
}

/** Ends at once when it is told to. */
function sleeping(name: string, replicas: number): WorkloadWish {
  const command = ['/bin/sh', '-c', 'trap "exit 0" TERM; sleep 1000 & wait']
  return { name, replicas, command, spec: { placement: { spread_topology: 'node' } } }
}

/** One fault at a random moment, and its end a little later. */
async function killAt(place: string, random: Random, history: string[]): Promise<void> {
  const delayMs = between(random, 0, 1_500)
  const absentMs = between(random, 0, 2_500)
  const part = pick(random, ['agent', 'agent', 'containerd', 'power', 'cable'] as const)!
  await sleep(systemClock, delayMs)
  history.push(`${place === 'coordinator' ? '' : `${part} of `}${place} for ${absentMs | 0} ms`)
  const restore = await (place === 'coordinator' ? killCoordinator() : breakPart(place, part))
  await sleep(systemClock, absentMs)
  await restore()
}

async function killCoordinator(): Promise<() => Promise<void>> {
  await cluster.coordinator.kill()
  return () => cluster.coordinator.start()
}

/** Resolves with what makes it whole again. */
async function breakPart(
  node: string,
  part: 'agent' | 'containerd' | 'power' | 'cable',
): Promise<() => Promise<void>> {
  const agent = cluster.agent(node)
  const { host } = agent
  switch (part) {
    case 'agent':
      await agent.kill()
      return () => agent.start()
    case 'containerd':
      await host.kill('containerd', 'SIGKILL')
      return () => host.startContainerd()
    case 'power':
      await host.powerOff()
      return async () => {
        await host.boot()
        await agent.start()
      }
    case 'cable':
      await host.link.cut()
      return () => host.link.heal()
  }
}

function shuffled<T>(random: Random, items: readonly T[]): T[] {
  return items
    .map((item) => ({ item, at: random.next() }))
    .toSorted((one, other) => one.at - other.at)
    .map(({ item }) => item)
}
