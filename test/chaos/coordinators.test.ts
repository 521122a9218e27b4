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
  applyWorkload,
  createSmallDisk,
  createStrikes,
  findSharedTerms,
  runChaos,
  runningContainers,
  sayChaos,
  startCoordinators,
  waitFor,
  waitForReady,
  waitForReplicas,
  type ChaosReport,
  type Coordinators,
  type SmallDisk,
  type Strikes,
} from '@cloudless/test/testkit'

const prefix = 'cha'
const runsMax = Number(process.env['RUNS'] ?? Number.POSITIVE_INFINITY)
const durationMsMax = process.env['RUNS'] === undefined ? 240_000 : Number.POSITIVE_INFINITY
const firstSeed = Number(process.env['CHAOS_SEED'] ?? Math.floor(systemRandom.next() * 1_000_000))

const nodes = ['a', 'b'] as const
const web = { name: 'web', replicas: 4 }

let cluster: Coordinators
let disk: SmallDisk
let strikes: Strikes

before(async () => {
  cluster = await startCoordinators({
    prefix,
    subnet: '10.80.62',
    agents: nodes.map((name) => ({ name, cpuCores: 2, memoryMb: 1024 })),
  })
  const coordinator = cluster.all[2]!
  await coordinator.killWithRaftMember()
  const { dataDirectory: directory, host } = coordinator
  disk = await createSmallDisk({ prefix, directory, megabytes: 1_000, run: host.run })
  await coordinator.start()
  strikes = createStrikes(cluster, { coordinator, disk })
  await strikes.waitUntilWell(40_000)
  await applyWorkload(cluster, web)
  await waitForReady(cluster, web.name, web.replicas)
})

after(async () => {
  await cluster?.stop()
})

/** Said as it goes: many runs take long. */
test('nothing acknowledged is lost, nothing is done twice, and every answer fits', async () => {
  const before = await containersThatRun()
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
  const violations = reports.flatMap(({ seed, violations: found, ended }) => [
    ...found.map(({ kind, what }) => `seed ${seed}: ${kind}: ${what}`),
    ...ended.map((what) => `seed ${seed}: ended by itself: ${what}`),
  ])
  assert.equal(violations.join('\n'), '')
  await waitForReady(cluster, web.name, web.replicas)
  assert.deepEqual(await containersThatRun(), before, 'what runs was touched')
})

test('a rollout ends as it should whoever leads meanwhile, and leaves nothing behind', async () => {
  const before = await containersThatRun()
  await applyWorkload(cluster, { ...web, spec: { env: { VERSION: '2' } } })
  const report = await runChaos(cluster, strikes, {
    seed: firstSeed + 1_000_000, // Names and keys that no other run has.
    faults: (['lead handed over', 'killed', 'held up', 'lead handed over'] as const).map(
      (kind) => ({
        ...{ kind, who: 'leader', which: 0, percent: 0, beside: false },
        ...{ holdMs: kind === 'held up' ? 3_000 : 300, afterMs: 300 },
      }),
    ),
  })
  console.log(sayChaos(report))
  assert.deepEqual(report.violations, [])
  const replicas = await waitForReplicas(
    cluster,
    web.name,
    { what: 'the second version, ready', deadlineMs: 40_000 },
    (all) => all.length === web.replicas && all.every((one) => one.ready && one.revision === '2'),
  )
  const wanted = replicas.map(({ containerId }) => containerId!).toSorted()
  await waitFor(async () => (await containersThatRun()).join() === wanted.join(), {
    what: 'only what should run to run',
    describe: async () => `wanted ${wanted.join()}, running ${(await containersThatRun()).join()}`,
  })
  assert.deepEqual(
    wanted.filter((id) => before.includes(id)),
    [],
  )
})

async function containersThatRun(): Promise<string[]> {
  const all = await Promise.all(nodes.map((node) => runningContainers(cluster, node)))
  return all.flat().toSorted()
}

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
