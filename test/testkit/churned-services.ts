/** The services that run while machines come and go: sizes people have at home. */
import type { Cluster } from './cluster.ts'
import type { FloorWatch } from './floor-watch.ts'
import type { ProbedService } from './prober-steps.ts'
import { applyWorkload } from './workloads.ts'

export const churnedServices: readonly ProbedService[] = [
  { name: 'api', replicas: 4, minAvailable: 2 },
  { name: 'web', replicas: 3, minAvailable: 2 },
  { name: 'db', replicas: 2, minAvailable: 1 },
]

export async function applyChurned(cluster: Cluster): Promise<void> {
  for (const { name, replicas, minAvailable } of churnedServices) {
    const rollout = { max_surge: 1, min_available: minAvailable }
    await applyWorkload(cluster, { name, replicas, spec: { rollout } })
  }
}

/** For people: what became of one of them. */
export function sayDips({ name, drops, violations, dips }: FloorWatch): string {
  const all = dips()
  const longestMs = Math.max(0, ...all.map(({ tookMs }) => tookMs))
  const totalMs = all.reduce((sum, { tookMs }) => sum + tookMs, 0)
  const seconds = (ms: number): string => `${(ms / 1_000).toFixed(1)} s`
  return (
    `${name}: ${drops.moved} moved, ${drops.lost} lost, ${drops['given up']} given up, ` +
    `${drops.unready} unready; below min_available ${violations.length} times by us, ` +
    `${all.length} times in all: longest ${seconds(longestMs)}, together ${seconds(totalMs)}`
  )
}
