/**
 * How long a service is short of replicas when a node goes: from the kill (or the pulled cable) until every wanted
 * replica is ready on the nodes that are left.
 */
import { ReplicaState } from '@cloudless/api'
import { startCluster, waitForReady, type Cluster } from '@cloudless/test/testkit'
import { applyWorkload } from '@cloudless/test/testkit'
import { clientOf, whenWorkload, type ApiClient } from './support/api.ts'
import { percentile, printTable, summarizeMs } from './support/table.ts'

const runs = Number(process.env['RUNS'] ?? 20)
const replicas = 3
const agentNames = ['a', 'b', 'c']

const cluster = await startCluster({
  prefix: 'bloss',
  subnet: '10.81.1',
  agents: agentNames.map((name) => ({ name, zone: `zone-${name}`, cpuCores: 2, memoryMb: 2048 })),
})
try {
  const client = clientOf(cluster)
  await applyWorkload(cluster, { name: 'web', replicas })
  await waitForReady(cluster, 'web', replicas)
  const killed: number[] = []
  const cut: number[] = []
  for (let run = 0; run < runs; run++) {
    const name = agentNames[run % agentNames.length]!
    killed.push(await lose(cluster, client, name, () => cluster.agent(name).host.powerOff()))
    await bringBack(cluster, name)
    cut.push(await lose(cluster, client, name, () => cluster.agent(name).host.link.cut()))
    await cluster.agent(name).host.link.heal()
    await cluster.waitForPhase(name, 'READY')
    await rebalance(cluster)
  }
  printTable('A node is lost: until its replicas are ready elsewhere', [
    {
      figure: 'kill -9 of everything on it (connections reset)',
      measured: summarizeMs(killed),
      wanted: 'p50 <= 1000 ms, p95 <= 2000 ms (Swarm here: 3300 p50, 4800 worst, tuned)',
      isMet: percentile(killed, 0.5) <= 1_000 && percentile(killed, 0.95) <= 2_000,
    },
    {
      figure: 'its link cut silently',
      measured: summarizeMs(cut),
      wanted: 'p50 <= 2000 ms, p95 <= 3500 ms',
      isMet: percentile(cut, 0.5) <= 2_000 && percentile(cut, 0.95) <= 3_500,
    },
  ])
} finally {
  await cluster.stop()
}

async function lose(
  _cluster: Cluster,
  client: ApiClient,
  name: string,
  act: () => Promise<void>,
): Promise<number> {
  let started = 0
  const recovered = whenWorkload(client, 'web', 30_000, (_workload, all) => {
    const elsewhere = all.filter((r) => r.ready && r.nodeName !== name)
    return started > 0 && elsewhere.length >= replicas
  })
  started = performance.now()
  await act()
  await recovered
  return performance.now() - started
}

async function bringBack(_cluster: Cluster, name: string): Promise<void> {
  const agent = cluster.agent(name)
  await agent.host.boot()
  await agent.start()
  await cluster.waitForPhase(name, 'READY')
  await rebalance(cluster)
}

/** One replica on each node again, so that every run loses the same. */
async function rebalance(_cluster: Cluster): Promise<void> {
  await cluster.ctl.text(['workload', 'restart', 'web', '--wait'])
  await whenWorkload(clientOf(cluster), 'web', 30_000, (_workload, all) => {
    const running = all.filter((r) => r.state === ReplicaState.RUNNING && r.ready)
    return (
      all.length === replicas && new Set(running.map((r) => r.nodeName)).size === agentNames.length
    )
  })
}
