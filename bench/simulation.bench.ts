/** How much of a cluster's life the simulation gets through: 1,000 hours is what runs for every change. */
import { availableParallelism } from 'node:os'
import { runSeeds } from '@cloudless/simulation'
import { printTable } from './support/table.ts'

const hours = 200
const hourMs = 3_600_000
const workers = availableParallelism()

const { simulatedMs, wallMs, seeds, events, failed } = await runSeeds({
  ...{ hours, workers, firstSeed: 1, minutesMax: 30 },
  onFailed: ({ seed }) => console.log(`seed ${seed} failed: make simulate SEED=${seed}`),
})
const lived = simulatedMs / hourMs
const hoursPerSecond = lived / (wallMs / 1_000)
printTable('The simulation: a whole cluster with faults, on all cores', [
  {
    figure: 'hours of cluster time in a second',
    measured: `${hoursPerSecond.toFixed(1)} on ${workers} processes`,
    wanted: '>= 3 for each',
    isMet: hoursPerSecond >= 3 * workers,
  },
  {
    figure: `seeds in ${Math.round((lived / hoursPerSecond) * 10) / 10} s`,
    measured: `${seeds}, each ${((lived / seeds) * 60).toFixed(0)} minutes and ${Math.round(events / seeds)} events`,
    wanted: 'all of them well',
    isMet: failed.length === 0,
  },
  {
    figure: 'seeds of a run with 1,000 hours',
    measured: `${Math.round((1_000 / lived) * seeds)} in ${Math.round(1_000 / hoursPerSecond)} s`,
    wanted: '<= 300 s',
    isMet: 1_000 / hoursPerSecond <= 300,
  },
])
