/**
 * How long nobody decides when the leading coordinator dies: from kill -9 until the next write is acknowledged to a client
 * that knows all three, and until every agent has a session again.
 */
import { systemClock, sleep } from '@cloudless/base'
import {
  applyWorkload,
  replicasOf,
  startCoordinators,
  waitFor,
  type CoordinatorOnHost,
  type Coordinators,
  type ReplicaView,
} from '@cloudless/test/testkit'
import { percentile, printTable, summarizeMs } from './support/table.ts'

const runs = Number(process.env['RUNS'] ?? 20)
const agents = ['a', 'b', 'c'].map((name) => ({ name, cpuCores: 2, memoryMb: 2048 }))
const callMsMax = 1_000

const cluster = await startCoordinators({
  prefix: 'bfail',
  subnet: '10.81.9',
  agents,
})
try {
  const alone: Figures = { writes: [], sessions: [] }
  const both: Figures = { writes: [], sessions: [] }
  const cut: Figures = { writes: [], sessions: [] }
  for (let run = 0; run < runs; run++) {
    await measure(alone, (leader) => leader.kill())
    await measure(both, (leader) => leader.killWithRaftMember())
    await measure(cut, (leader) => leader.host.powerOff({ silently: true }))
  }
  const wanted = { writeMs: [600, 1_500], sessionsMs: 2_000 } as const
  // The lease of 2 s, begun anew by the store's next leader when that was on the machine as well.
  const wantedOfSilence = { writeMs: [4_000, 5_000], sessionsMs: 6_000 } as const
  const lost: number[] = []
  await applyWorkload(cluster, { name: 'web', replicas: 3 })
  for (let run = 0; run < runs; run++) lost.push(await loseBoth())
  const atOnce = {
    figure: 'kill -9 of both it and a node at once: replicas are ready elsewhere',
    measured: summarizeMs(lost),
    wanted: 'p95 <= 10000 ms',
    isMet: percentile(lost, 0.95) <= 10_000,
  }
  printTable('The leading coordinator dies: until the cluster decides again', [
    ...rowsOf('kill -9 of the coordinator', alone, wanted),
    ...rowsOf('kill -9 of it and its RAFT member', both, wanted),
    ...rowsOf('its machine vanishes without a word', cut, wantedOfSilence),
    atOnce,
  ])
} finally {
  await cluster.stop()
}

interface Figures {
  readonly writes: number[]
  readonly sessions: number[]
}

async function measure(
  figures: Figures,
  lose: (leader: CoordinatorOnHost) => Promise<void>,
): Promise<void> {
  await cluster.waitUntilAllAreWell()
  const leader = await cluster.leader()
  await sleep(systemClock, 1_000)
  const others = cluster.all.filter((one) => one !== leader)
  const startMs = systemClock.monotonicMs()
  const lost = lose(leader)
  const written = writeSomething(cluster, [leader, ...others])
  const connected = waitForSessions(cluster, others)
  await written
  figures.writes.push(systemClock.monotonicMs() - startMs)
  await connected
  figures.sessions.push(systemClock.monotonicMs() - startMs)
  await lost
  await leader.host.boot()
  await leader.host.link.heal()
  await leader.start()
}

/** Milliseconds until every wanted replica is ready on the nodes that are left. */
async function loseBoth(): Promise<number> {
  await cluster.waitUntilAllAreWell()
  await waitForWeb(
    (replicas) => replicas.length >= 3 && replicas.every(({ ready }) => ready === true),
  )
  const leader = await cluster.leader()
  const { nodeName } = (await replicasOf(cluster, 'web'))[0]!
  const agent = cluster.agent(nodeName!)
  await sleep(systemClock, 1_000)
  const startMs = systemClock.monotonicMs()
  await Promise.all([leader.killWithRaftMember(), agent.host.powerOff()])
  await waitForWeb(
    (replicas) =>
      replicas.filter((one) => one.ready === true && one.nodeName !== nodeName).length >= 3,
  )
  const tookMs = systemClock.monotonicMs() - startMs
  await leader.start()
  await agent.host.boot()
  await agent.start()
  await waitForSessions(cluster, cluster.all)
  return tookMs
}

async function waitForWeb(isWanted: (replicas: readonly ReplicaView[]) => boolean): Promise<void> {
  await waitFor(
    async () => {
      const { code, stdout } = await cluster.ctl.run(['workload', 'replicas', 'web', '-o', 'json'])
      return code === 0 && isWanted((JSON.parse(stdout) as { items: ReplicaView[] }).items)
    },
    { what: 'the replicas', deadlineMs: 60_000, pollMs: 50 },
  )
}

/** As a client that knows them all does: the next one when one fails. */
async function writeSomething(
  { client }: Coordinators,
  all: readonly CoordinatorOnHost[],
): Promise<void> {
  for (let turn = 0; ; turn++) {
    const asked = client(all[turn % all.length]!)
    try {
      await asked.createJoinToken({ ttlMs: 60_000n }, { timeoutMs: callMsMax })
      return
    } catch {
      await sleep(systemClock, 5)
    }
  }
}

async function waitForSessions(
  { client }: Coordinators,
  others: readonly CoordinatorOnHost[],
): Promise<void> {
  await waitFor(
    async () => {
      const { nodes } = await client(others[0]!).listNodes({}, { timeoutMs: callMsMax })
      return nodes.length === agents.length && nodes.every(({ lastSeenMs }) => lastSeenMs > 0n)
    },
    { what: 'all agents to be connected', deadlineMs: 30_000, pollMs: 10 },
  )
}

interface Wanted {
  /** p50 and p95. */
  readonly writeMs: readonly [number, number]
  readonly sessionsMs: number
}

function rowsOf(what: string, { writes, sessions }: Figures, { writeMs, sessionsMs }: Wanted) {
  const [half, most] = writeMs
  return [
    {
      figure: `${what}: next acknowledged write`,
      measured: summarizeMs(writes),
      wanted: `p50 <= ${half} ms, p95 <= ${most} ms (Swarm here: 13.7 s p50, 22.5 s worst)`,
      isMet: percentile(writes, 0.5) <= half && percentile(writes, 0.95) <= most,
    },
    {
      figure: `${what}: all agents' sessions are back`,
      measured: summarizeMs(sessions),
      wanted: `p95 <= ${sessionsMs} ms`,
      isMet: percentile(sessions, 0.95) <= sessionsMs,
    },
  ]
}
