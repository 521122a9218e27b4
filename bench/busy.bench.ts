/** Both cores kept busy by others: is any healthy node declared lost? */
import { spawn, type ChildProcess } from 'node:child_process'
import { availableParallelism } from 'node:os'
import { sleep, systemClock } from '@cloudless/base'
import { applyWorkload, startCluster, waitForReady } from '@cloudless/test/testkit'
import { printTable } from './support/table.ts'

const minutes = Number(process.env['MINUTES'] ?? 10)
const lookMs = 5_000

const cluster = await startCluster({
  prefix: 'bbusy',
  subnet: '10.81.5',
  agents: ['a', 'b', 'c'].map((name) => ({ name, zone: name, cpuCores: 2, memoryMb: 2048 })),
})
const burners: ChildProcess[] = []
try {
  await applyWorkload(cluster, { name: 'web', replicas: 3 })
  const before = await waitForReady(cluster, 'web', 3)
  for (let core = 0; core < availableParallelism(); core++) {
    burners.push(spawn('timeout', [String(minutes * 60 + 30), 'sh', '-c', 'while :; do :; done']))
  }
  const endMs = systemClock.monotonicMs() + minutes * 60_000
  while (systemClock.monotonicMs() < endMs) await sleep(systemClock, lookMs)
  const offline = await cluster.ctl.items(['events', '--type', 'node.offline'])
  const after = await waitForReady(cluster, 'web', 3)
  const same = after.every((replica) => before.some(({ id }) => id === replica.id))
  printTable(`${availableParallelism()} busy loops beside the cluster for ${minutes} minutes`, [
    {
      figure: 'healthy nodes declared lost',
      measured: `${offline.length}; the replicas are ${same ? 'the same' : 'others'}`,
      wanted: '0; the same',
      isMet: offline.length === 0 && same,
    },
  ])
} finally {
  // Asked, not killed: timeout then ends the loop it started, which would otherwise go on without it.
  for (const burner of burners) burner.kill('SIGTERM')
  await cluster.stop()
}
