/**
 * Three coordinators fail in every way there is, alone and together, while clients work: nothing that was acknowledged is
 * lost, nothing is done twice, and every answer fits one order of all that was done.
 *
 * CHAOS_SEED=n begins with that seed, RUNS=n does so many; by default as many as fit into four minutes.
 */
import assert from 'node:assert/strict'
import { copyFileSync, mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { systemClock, systemRandom } from '@cloudless/base'
import {
  createSmallDisk,
  createStrikes,
  findSharedTerms,
  runChaos,
  sayChaos,
  startCoordinators,
  type ChaosReport,
  type Coordinators,
  type SmallDisk,
  type Strikes,
} from '@cloudless/test/testkit'

const prefix = 'cha'
const runsMax = Number(process.env['RUNS'] ?? Number.POSITIVE_INFINITY)
const durationMsMax = process.env['RUNS'] === undefined ? 240_000 : Number.POSITIVE_INFINITY
const firstSeed = Number(process.env['CHAOS_SEED'] ?? Math.floor(systemRandom.next() * 1_000_000))

let cluster: Coordinators
let disk: SmallDisk
let strikes: Strikes

before(async () => {
  cluster = await startCoordinators({ prefix, subnet: '10.80.62' })
  const coordinator = cluster.all[2]!
  await coordinator.killWithRaftMember()
  const { dataDirectory: directory, host } = coordinator
  disk = await createSmallDisk({ prefix, directory, megabytes: 1_000, run: host.run })
  await coordinator.start()
  strikes = createStrikes(cluster, { coordinator, disk })
  await strikes.waitUntilWell(40_000)
})

after(async () => {
  await cluster?.stop()
})

/** Said as it goes: many runs take long. */
test('nothing acknowledged is lost, nothing is done twice, and every answer fits', async () => {
  const startedMs = systemClock.monotonicMs()
  const reports: ChaosReport[] = []
  for (let n = 0; n < runsMax && systemClock.monotonicMs() - startedMs < durationMsMax; n++) {
    const seed = firstSeed + n
    const report = await runChaos(cluster, strikes, { seed }).catch((reason: unknown) => {
      console.log(`seed ${seed}: logs are in ${keepLogs(seed)}`)
      throw reason
    })
    console.log(sayChaos(report))
    if (report.violations.length > 0) console.log(`logs are in ${keepLogs(seed)}`)
    reports.push(report)
  }
  console.log(sayAll(reports))
  const violations = reports.flatMap((report) =>
    report.violations.map(({ kind, what }) => `seed ${report.seed}: ${kind}: ${what}`),
  )
  assert.equal(violations.join('\n'), '')
})

/** What is left of a cluster that failed, for people. */
function keepLogs(seed: number): string {
  const directory = mkdtempSync(join(tmpdir(), `chaos-${seed}-`))
  for (const { id, log } of cluster.all) copyFileSync(log, join(directory, `${id}.log`))
  return directory
}

/** A line for a table. */
function sayAll(reports: readonly ChaosReport[]): string {
  const violations = reports.flatMap((report) => report.violations)
  const count = (...kinds: string[]): number =>
    violations.filter(({ kind }) => kinds.includes(kind)).length
  const operations = reports.reduce((sum, { counts }) => sum + counts.done, 0)
  const silences = reports.map(({ silenceMs }) => silenceMs)
  return (
    `| ${reports.length} fault runs | ${operations} operations | ${findSharedTerms(cluster.all).terms} terms | ` +
    `${count('lost')} lost, ${count('duplicated')} duplicated, ` +
    `${count('not linearizable', 'two leaders', 'undecided')} violations | ` +
    `longest without a write ${(Math.max(...silences) / 1_000).toFixed(1)} s |`
  )
}
