import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { create } from '@bufbuild/protobuf'
import {
  CronPolicySchema,
  JobStatusSchema,
  WorkloadType,
  type WorkloadRecord,
} from '@cloudless/api'
import { seededRandom } from '@cloudless/base'
import { deleteRecord, putRecord } from '../state/cluster-state.ts'
import { cleanUp, eventually, openCluster, recordingReporter } from '../testing/cluster.ts'
import { FakeClock } from '../testing/fake-clock.ts'
import { workloadRecord } from '../testing/records.ts'
import { CronController } from './cron-controller.ts'

const id = 'default-backup'

async function openCrons(t: TestContext) {
  const clock = new FakeClock()
  const cluster = await openCluster(t)
  const { state } = cluster
  const { report, said } = recordingReporter()
  const jobs = (): WorkloadRecord[] => state.workloadsOwnedBy(id).map((held) => held.record)
  return {
    ...cluster,
    clock,
    said,
    jobs,
    cron: () => state.get('workload', id)!.cron!,
    start(): { close(): Promise<void> } {
      const controller = new CronController({ state, clock, random: seededRandom(1), report })
      cleanUp(t, () => controller.close())
      return controller
    },
    async put(changes: Partial<WorkloadRecord> = {}): Promise<void> {
      const record = workloadRecord({
        name: 'backup',
        spec: {
          type: WorkloadType.CRON,
          cron: create(CronPolicySchema, { schedule: '* * * * *' }),
        },
      })
      const updatedAtMs = BigInt(clock.wallMs())
      const workload = { ...record.workload!, updatedAtMs }
      await cluster.put('workload', { [id]: { ...record, workload, ...changes } })
    },
  }
}

test('a run is made when it is due, and once, however often the coordinator starts', async (t) => {
  const crons = await openCrons(t)
  await crons.put()
  const first = crons.start()
  await eventually(() => crons.cron() !== undefined && crons.cron().nextRunAtMs > 0n)
  assert.equal(crons.jobs().length, 0)
  crons.clock.advance(60_000)
  await eventually(() => crons.jobs().length === 1)
  await first.close()
  crons.start()
  crons.clock.advance(60_000)
  await eventually(() => crons.jobs().length === 2)
  const names = crons.jobs().map(({ workload }) => workload!.name)
  assert.equal(new Set(names).size, 2)
  assert.deepEqual([...crons.cron().active].sort(), names.sort())
  assert.equal(crons.said.filter(({ what }) => what === 'cronStarted').length, 2)
})

test('jobs that are history are deleted, and a deleted cron takes its jobs with it', async (t) => {
  const crons = await openCrons(t)
  await crons.put()
  crons.start()
  await eventually(() => crons.cron() !== undefined && crons.cron().nextRunAtMs > 0n)
  for (let run = 1; run <= 4; run++) {
    crons.clock.advance(60_000)
    await eventually(() => crons.jobs().length === run)
    const job = crons.jobs().find((record) => record.job === undefined)!
    const finishedAtMs = BigInt(crons.clock.wallMs())
    const over = create(JobStatusSchema, { outcome: 'complete', finishedAtMs })
    const ended = { ...crons.state.get('workload', job.workload!.id)!, job: over }
    await crons.state.write({ writes: [putRecord('workload', job.workload!.id, ended)] })
  }
  const deleted = (): WorkloadRecord[] => crons.jobs().filter((job) => job.deletedAtMs > 0n)
  await eventually(() => deleted().length === 1)
  assert.ok(crons.cron().lastSuccessAtMs > 0n)
  await crons.put({ deletedAtMs: 1n })
  await eventually(() => deleted().length === 4)
  const writes = deleted().map(({ workload }) => deleteRecord('workload', workload!.id))
  await crons.state.write({ writes })
  await eventually(() => crons.state.count('workload') === 0)
})
