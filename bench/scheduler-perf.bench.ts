/**
 * The workloads of Kubernetes' scheduler_perf, through everything that makes a placement here: the workload's record,
 * its replicas, their places, each of them on disk. The wanted figure is five times what the original must reach, which
 * counts from the scheduler's queue to a bound pod, with an API server and etcd on the machine of its authors. Nobody
 * publishes a floor for every replica making room at this size; that row is there for scale.
 *
 *     node bench/scheduler-perf.bench.ts [--only NAME]
 */
import { parseArgs } from 'node:util'
import { perfCases, type PerfCase } from './support/scheduler-perf-cases.ts'
import { runCase, type PerfResult } from './support/scheduler-perf-run.ts'
import { printTable, type Row } from './support/table.ts'

const { values: flags } = parseArgs({ options: { only: { type: 'string', default: '' } } })
const timesFloor = 5

// Not counted: a coordinator that has run for a while has compiled what it does all day.
await runCase(perfCases[0]!)
const rows: Row[] = []
for (const perf of perfCases) {
  if (flags.only !== '' && perf.name !== flags.only) continue
  rows.push(rowOf(perf, await runCase(perf)))
}
printTable('Placements a second with 5,000 nodes, the workloads of scheduler_perf', rows)

function rowOf({ name, size, floor, measured }: PerfCase, { ms, stopped }: PerfResult): Row {
  const perSecond = Math.round(measured.replicas / (ms / 1_000))
  const room = stopped === 0 ? '' : `, ${stopped} replicas made room`
  return {
    figure: `${name}, ${size}`,
    measured: `${perSecond} (${measured.replicas} in ${(ms / 1_000).toFixed(2)} s${room})`,
    ...(floor === undefined
      ? { wanted: '(for scale)', isMet: true }
      : {
          wanted: `>= ${timesFloor * floor}, ${timesFloor} times its floor of ${floor}`,
          isMet: perSecond >= timesFloor * floor,
        }),
  }
}
