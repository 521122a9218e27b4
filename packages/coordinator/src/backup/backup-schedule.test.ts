import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CloudlessError, cronScheduleOf, seededRandom } from '@cloudless/base'
import { FakeClock } from '../testing/fake-clock.ts'
import type { Backup } from './backup-file.ts'
import { BackupSchedule } from './backup-schedule.ts'

const hourMs = 3_600_000
const hourly = { schedule: cronScheduleOf('0 * * * *', '')!, keep: 3 }

async function* none(): AsyncGenerator<Uint8Array> {}

function world(newestMs?: number) {
  const clock = new FakeClock()
  const said: string[] = []
  const faults: CloudlessError[] = []
  const schedule = new BackupSchedule(
    {
      clock,
      random: seededRandom(1),
      secret: () => ({ kind: 'none' }),
      backups: {
        async *make(_, use) {
          const manifest = { createdAtMs: clock.wallMs(), revision: 1 }
          const summary = { entries: 1, bytes: 1, byKind: {} }
          yield* use({ manifest, summary, chunks: none() } as unknown as Backup)
        },
      },
      directory: {
        newestMs: async () => newestMs,
        write: async (createdAtMs) => {
          const fault = faults.pop()
          if (fault) throw fault
          return { path: String(createdAtMs), fileBytes: 1 }
        },
        tidy: async (keep) => void said.push(`keeps ${keep}`),
      },
      onMade: (_, where) => void said.push(where),
      onFailed: (reason) => void said.push(CloudlessError.from(reason).message),
    },
    hourly,
  )
  return { clock, said, faults, schedule }
}

test('a backup is made when it is due, and not before', async () => {
  const { clock, said, schedule } = world()
  const startMs = clock.wallMs()
  const toNextMs = hourMs - (startMs % hourMs)
  await clock.pass(toNextMs - 1, 5_000)
  assert.deepEqual(said, [])
  await clock.pass(30_001, 5_000)
  assert.equal(said.length, 2)
  assert.equal(said[1], 'keeps 3')
  await clock.pass(hourMs, 5_000)
  assert.equal(said.length, 4)
  await schedule.close()
})

test('what was due while nobody led is made up for once', async () => {
  const { clock, said, schedule } = world(Date.UTC(1970, 0, 1))
  await clock.pass(hourMs / 60, 5_000)
  assert.equal(said.length, 2)
  await schedule.close()
})

test('one that fails is told and tried again', async () => {
  const { clock, said, faults, schedule } = world()
  faults.push(new CloudlessError('resource_exhausted', 'the disk is full'))
  await clock.pass(hourMs + 90_000, 5_000)
  assert.equal(said[0], 'the disk is full')
  assert.match(said[1]!, /^is in/)
  await schedule.close()
})
