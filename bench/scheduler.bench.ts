/**
 * How long one decision takes, and what it allocates: every filter and every term of the score over all nodes, for a
 * third each of plain replicas, of replicas with affinity and spread, and of replicas for tainted nodes with GPUs.
 *
 * Cold: each decision is for a workload never seen before, and nothing of it is remembered. Warm: for one of sixty that
 * take turns. Each placement is put on the table before the next decision; only the decision is timed.
 */
import { Decisions } from './support/decisions.ts'
import { percentile, printTable, type Row } from './support/table.ts'

const warmKinds = 60
const targets = new Map([
  [5_000, { p50: 0.5, p95: 2, p99: 5 }],
  [50_000, { p50: 5, p95: Infinity, p99: Infinity }],
])

const latencies: Row[] = []
const allocated = [1_000, 5_000, 50_000].map((nodeCount) => {
  const decisions = new Decisions(nodeCount)
  // What is used again must have been used once.
  decisions.time(5_000_000 / nodeCount + 1_000, () => decisions.newKind())
  if (targets.has(nodeCount)) {
    const count = 10_000_000 / nodeCount + 1_000
    const cold = decisions.time(count, () => decisions.newKind())
    const kinds = Array.from({ length: warmKinds }, () => decisions.newKind())
    const warm = decisions.time(count, (decision) => kinds[decision % warmKinds]!)
    latencies.push(latencyOf(nodeCount, 'cold', cold))
    latencies.push(latencyOf(nodeCount, 'warm', warm.slice(warmKinds)))
  }
  return { nodeCount, ...decisions.allocated(1_000) }
})
const [fewest] = allocated.map(({ heapBytes, bufferBytes }) => heapBytes + bufferBytes)
printTable('The scheduler: one decision with every filter and score, mixed kinds', [
  ...latencies,
  ...allocated.map(({ nodeCount, heapBytes, bufferBytes }) => ({
    figure: `${nodeCount} nodes, cold: allocated by a decision`,
    measured: `${kilobytes(heapBytes)} on the heap, ${kilobytes(bufferBytes)} in buffers`,
    wanted: 'does not grow with the nodes (<= 1.5 x that of the fewest)',
    isMet: heapBytes + bufferBytes <= 1.5 * fewest!,
  })),
])

function latencyOf(nodeCount: number, state: string, tookMs: readonly number[]): Row {
  const [p50, p95, p99] = [0.5, 0.95, 0.99].map((rank) => percentile(tookMs, rank)) as [
    number,
    number,
    number,
  ]
  const target = targets.get(nodeCount)!
  const ms = (value: number): string => value.toFixed(3)
  return {
    figure: `${nodeCount} nodes, ${state}: a decision`,
    measured: `p50 ${ms(p50)} ms, p95 ${ms(p95)} ms, p99 ${ms(p99)} ms (${tookMs.length} runs)`,
    wanted: Object.entries(target)
      .filter(([, wantedMs]) => wantedMs !== Infinity)
      .map(([rank, wantedMs]) => `${rank} <= ${wantedMs} ms`)
      .join(', '),
    isMet: p50 <= target.p50 && p95 <= target.p95 && p99 <= target.p99,
  }
}

function kilobytes(bytes: number): string {
  return `${(bytes / 1_000).toFixed(1)} kB`
}
