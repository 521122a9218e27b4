/**
 * Coordinator, agents and containerds are killed at random moments while somebody works with the cluster. Afterwards
 * everything that was acknowledged is true. CLOUDLESS_TEST_SEED repeats a run's choices.
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
const rounds = Number(process.env['CLOUDLESS_TEST_ROUNDS'] ?? 6)
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
    const killings = [killSomething(random, history), killSomething(random, history)]
    for (let n = 0; n < callsPerRound; n++) history.push(await user.act())
    await Promise.all(killings)
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

/** kill -9 of one part at a random moment, and its start a little later. */
async function killSomething(random: Random, history: string[]): Promise<void> {
  const delayMs = between(random, 0, 1_500)
  const absentMs = between(random, 0, 1_000)
  const part = pick(random, ['coordinator', 'agent', 'agent', 'containerd'])!
  const agent = cluster.agent(pick(random, nodeNames)!)
  await sleep(systemClock, delayMs)
  history.push(`kill ${part} ${part === 'coordinator' ? '' : agent.name}`)
  switch (part) {
    case 'coordinator':
      await cluster.coordinator.kill()
      await sleep(systemClock, absentMs)
      return cluster.coordinator.start()
    case 'agent':
      await agent.kill()
      await sleep(systemClock, absentMs)
      return agent.start()
    default:
      await agent.host.kill('containerd', 'SIGKILL')
      await sleep(systemClock, absentMs)
      return agent.host.startContainerd()
  }
}
