import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { create, type MessageInitShape } from '@bufbuild/protobuf'
import * as fc from 'fast-check'
import {
  CronPolicySchema,
  CronStatusSchema,
  JobStatusSchema,
  WorkloadType,
  type WorkloadRecord,
} from '@cloudless/api'
import { workloadRecord } from '../testing/records.ts'
import { nameOfManualRun, nameOfRun } from './cron-jobs.ts'
import { planCron, runsActiveMax, type CronPlan } from './plan-cron.ts'

const at = (time: string): number => Date.parse(`2026-05-04T${time}Z`)

interface CronFacts {
  readonly policy?: MessageInitShape<typeof CronPolicySchema>
  readonly status?: MessageInitShape<typeof CronStatusSchema>
  readonly deleted?: boolean
}

/** Every hour; decided on up to 10:00. */
function cronRecord({ policy, status, deleted }: CronFacts = {}): WorkloadRecord {
  const record = workloadRecord({
    name: 'backup',
    deletedAtMs: deleted ? 5n : 0n,
    spec: {
      type: WorkloadType.CRON,
      cron: create(CronPolicySchema, { schedule: '0 * * * *', ...policy }),
    },
  })
  const updatedAtMs = BigInt(at('09:15'))
  return {
    ...record,
    workload: { ...record.workload!, updatedAtMs },
    cron: create(CronStatusSchema, { nextRunAtMs: BigInt(at('10:00')), ...status }),
  }
}

/** "a active, b complete 09:00, c failed 08:00, d deleted". */
function jobs(text: string): WorkloadRecord[] {
  return [...text.matchAll(/(\w+) (\w+)(?: ([\d:]+))?/g)].map(([, name, state, time], n) => {
    const isOver = state === 'complete' || state === 'failed'
    const record = workloadRecord({
      name: name!,
      deletedAtMs: state === 'deleted' ? 1n : 0n,
      spec: { type: WorkloadType.JOB },
    })
    const job = create(JobStatusSchema, {
      outcome: isOver ? state : '',
      finishedAtMs: isOver ? BigInt(at(time!)) : 0n,
    })
    return { ...record, workload: { ...record.workload!, createdAtMs: BigInt(n) }, job }
  })
}

function plan(
  cron: WorkloadRecord,
  time: string,
  { made = '', taken = '' }: { readonly made?: string; readonly taken?: string } = {},
): CronPlan {
  return planCron(cron, jobs(made), { nowMs: at(time), exists: (id) => id === taken })
}

function said({ run, remove, skipped, finished }: CronPlan): string {
  return [
    ...(run ? [`run ${run.workload!.name}`] : []),
    ...(skipped === undefined ? [] : ['skip']),
    ...remove.map(({ workload }) => `remove ${workload!.name}`),
    ...(finished ? ['finish'] : []),
  ].join(', ')
}

describe('a cron', () => {
  const forbid = { policy: { concurrencyPolicy: 'Forbid' } }
  const replace = { policy: { concurrencyPolicy: 'Replace' } }
  const rows: readonly [
    property: string,
    facts: CronFacts,
    time: string,
    jobs: string,
    plan: string,
  ][] = [
    ['waits until a run is due', {}, '09:59', '', ''],
    ['makes a job when one is, named after its minute', {}, '10:00', '', 'run backup-202605041000'],
    ['makes up for one that was missed', {}, '10:04', '', 'run backup-202605041000'],
    ['leaves out one that is too late', {}, '10:06', '', 'skip'],
    ['makes up for the newest of several', {}, '13:01', '', 'run backup-202605041300'],
    [
      'has a starting deadline of its own',
      { policy: { startingDeadlineMs: 3_600_000n } },
      '10:59',
      '',
      'run backup-202605041000',
    ],
    ['makes none while it is suspended', { policy: { suspend: true } }, '10:00', '', ''],
    ['runs beside one that goes on', {}, '10:00', 'a active', 'run backup-202605041000'],
    ['does not where that is forbidden', forbid, '10:00', 'a active', 'skip'],
    ['does not while one is still ending', forbid, '10:00', 'a deleted', 'skip'],
    ['does when that is over', forbid, '10:00', 'a complete 09:10', 'run backup-202605041000'],
    [
      'ends the one before where it is to be replaced',
      replace,
      '10:00',
      'a active',
      'run backup-202605041000, remove a',
    ],
    [
      'keeps three that ended well and one that failed',
      {},
      '09:30',
      'a complete 01:00, b complete 02:00, c failed 03:00, d failed 04:00, e complete 05:00, f complete 06:00',
      'remove a, remove c',
    ],
    [
      'keeps as many as it is told',
      { policy: { successfulHistory: 0, failedHistory: 0 } },
      '09:30',
      'a complete 01:00, b failed 02:00, c active',
      'remove a, remove b',
    ],
    [
      'is deleted with its jobs',
      { deleted: true },
      '10:00',
      'a active, b complete 01:00',
      'remove a, remove b',
    ],
    ['waits until they are gone', { deleted: true }, '10:00', 'a deleted', ''],
    ['is gone after them', { deleted: true }, '10:00', '', 'finish'],
  ]
  for (const [property, facts, time, made, expected] of rows) {
    it(property, () => assert.equal(said(plan(cronRecord(facts), time, { made })), expected))
  }

  it('moves on with each decision, and says what became of it', () => {
    const { after, wakeAtMs } = plan(cronRecord(), '10:00', { made: 'a active' })
    assert.equal(after?.cron?.lastRunAtMs, BigInt(at('10:00')))
    assert.equal(after.cron.nextRunAtMs, BigInt(at('11:00')))
    assert.deepEqual(after.cron.active, ['a', 'backup-202605041000'])
    assert.equal(wakeAtMs, at('11:00'))
    const late = plan(cronRecord(), '10:06').after!.cron!
    assert.equal(late.nextRunAtMs, BigInt(at('11:00')))
    assert.match(late.skipped, /due at 2026-05-04T10:00Z was noticed 6m late.*deadline of 5m/)
  })

  it('never runs a minute again when the clock is put back', () => {
    const { after } = plan(cronRecord(), '10:00')
    for (const time of ['09:00', '09:59', '10:00', '10:59']) {
      assert.equal(said(plan(after!, time)), '', time)
    }
  })

  const days = 86_400_000
  for (const [property, ahead, last, time, next] of [
    ['stands by what it decided when the clock is put back a little', 1, '09:00', '09:20', 1],
    ['returns from a year ahead when the clock is put right', 365, '09:00', '09:20', 0],
    ['does so to after its last run', 365, '10:00', '09:20', 0],
    ['does not return to before a run that took place there', 365, 'ahead', '09:20', 365],
  ] as const) {
    it(property, () => {
      const nextRunAtMs = BigInt(at('10:00') + ahead * days)
      const lastRunAtMs = last === 'ahead' ? nextRunAtMs - 3_600_000n : BigInt(at(last))
      const cron = cronRecord({ status: { nextRunAtMs, lastRunAtMs } })
      const { run, wakeAtMs } = plan(cron, time)
      assert.equal(run, undefined)
      const hour = last === '10:00' ? '11:00' : '10:00'
      assert.equal(wakeAtMs, at(hour) + next * days)
    })
  }

  it('runs again after the clock was a year ahead, and no minute twice', () => {
    const ran = plan(cronRecord(), '10:00').after!
    const policy = { nowMs: at('10:30') + 365 * days, exists: () => false }
    const far = planCron(ran, [], policy)
    assert.equal(said(far), 'skip')
    const back = plan(far.after!, '09:50')
    assert.equal(said(back), '')
    assert.equal(said(plan(back.after!, '10:00')), '')
    assert.equal(said(plan(back.after!, '11:00')), 'run backup-202605041100')
  })

  it('begins with the first run after it was stored', () => {
    const { after } = plan(cronRecord({ status: { nextRunAtMs: 0n } }), '09:20')
    assert.equal(after?.cron?.nextRunAtMs, BigInt(at('10:00')))
  })

  it('makes up for a run that was due before it was first looked at', () => {
    const cron = cronRecord({ status: { nextRunAtMs: 0n } })
    assert.equal(said(plan(cron, '10:01')), 'run backup-202605041000')
  })

  it('does not take the name of another workload', () => {
    const { skipped, run } = plan(cronRecord(), '10:00', { taken: 'default-backup-202605041000' })
    assert.equal(run, undefined)
    assert.match(skipped!, /a workload "backup-202605041000" already/)
  })

  it('has a bounded number of runs at a time', () => {
    const many = Array.from({ length: runsActiveMax }, (_, n) => `j${n} active`).join(', ')
    assert.match(plan(cronRecord(), '10:00', { made: many }).skipped!, /100 runs still going on/)
  })

  it('remembers when a run last ended well', () => {
    const made = 'a complete 08:10, b complete 09:10, c failed 09:20'
    const { after } = plan(cronRecord(), '09:30', { made })
    assert.equal(after?.cron?.lastSuccessAtMs, BigInt(at('09:10')))
  })

  it('makes jobs of its own spec, that know who made them', () => {
    const { workload } = plan(cronRecord(), '10:00').run!
    assert.equal(workload?.ownerId, 'default-backup')
    assert.equal(workload.spec?.type, WorkloadType.JOB)
    assert.equal(workload.spec.cron, undefined)
    assert.equal(workload.spec.image, 'nginx')
    assert.equal(workload.id, 'default-backup-202605041000')
  })
})

it('whenever it is looked at and whatever the clock does, no run of a cron happens twice', () => {
  const minutes = fc.array(fc.integer({ min: -90, max: 200 }), { maxLength: 30 })
  fc.assert(
    fc.property(
      minutes,
      fc.constantFrom('* * * * *', '*/7 * * * *', '0 * * * *'),
      (steps, schedule) => {
        let cron = cronRecord({ policy: { schedule }, status: { nextRunAtMs: 0n } })
        let nowMs = at('09:15')
        const names = new Set<string>()
        for (const step of steps) {
          nowMs += step * 60_000
          const { run, after } = planCron(cron, [], { nowMs, exists: () => false })
          cron = after ?? cron
          if (run === undefined) continue
          assert.ok(!names.has(run.workload!.name), run.workload!.name)
          names.add(run.workload!.name)
        }
      },
    ),
  )
})

it('the names of runs fit, and tell crons with long names apart', () => {
  const [one, other] = [`${'a'.repeat(250)}.b`, `${'a'.repeat(250)}.c`]
  for (const nameOf of [(n: string) => nameOfRun(n, 0), (n: string) => nameOfManualRun(n, 'x2')]) {
    assert.ok(nameOf(one).length <= 253)
    assert.notEqual(nameOf(one), nameOf(other))
    assert.match(nameOf(one), /^[a-z0-9.-]+[a-z0-9]$/)
  }
  assert.equal(nameOfRun('backup', at('10:00')), 'backup-202605041000')
})
