import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { parseCronExpression, type CronExpression } from './cron-expression.ts'
import { cronScheduleOf, latestRunMs, nextRunMs, problemWithSchedule } from './cron-schedule.ts'
import { pick, seededRandom } from './random.ts'
import { offsetMsAt, problemWithTimeZone } from './time-zone.ts'

function next(schedule: string, after: string, timeZone = ''): string {
  const atMs = nextRunMs(cronScheduleOf(schedule, timeZone)!, Date.parse(after))
  return atMs === undefined ? 'never' : new Date(atMs).toISOString().slice(0, 16)
}

describe('a schedule', () => {
  const rows: readonly [string, string, string, string, string?][] = [
    [
      'is due after, not at, the moment asked for',
      '0 3 * * *',
      '2026-01-01T03:00Z',
      '2026-01-02T03:00',
    ],
    ['is due in the next minute', '* * * * *', '2026-01-01T03:00:30Z', '2026-01-01T03:01'],
    ['has steps', '*/20 * * * *', '2026-01-01T03:21Z', '2026-01-01T03:40'],
    ['has steps from a value on', '5/20 * * * *', '2026-01-01T03:26Z', '2026-01-01T03:45'],
    ['has ranges with steps', '0 8-18/5 * * *', '2026-01-01T08:00Z', '2026-01-01T13:00'],
    ['has lists', '0 1,5,9 * * *', '2026-01-01T05:00Z', '2026-01-01T09:00'],
    ['has names of days', '0 3 * * MON-FRI', '2026-01-02T04:00Z', '2026-01-05T03:00'],
    ['has names of months', '0 0 1 feb,Apr *', '2026-02-02T00:00Z', '2026-04-01T00:00'],
    ['has Sunday as 0', '0 0 * * 0', '2026-01-01T00:00Z', '2026-01-04T00:00'],
    ['has Sunday as 7', '0 0 * * 5-7', '2026-01-03T01:00Z', '2026-01-04T00:00'],
    [
      'is due on either day when both are given',
      '0 0 13 * FRI',
      '2026-01-01T00:00Z',
      '2026-01-02T00:00',
    ],
    [
      'is due on both days when one begins with *',
      '0 0 */2 * MON',
      '2026-01-01T00:00Z',
      '2026-01-05T00:00',
    ],
    ['waits for leap years', '0 0 29 2 *', '2097-01-01T00:00Z', '2104-02-29T00:00'],
    ['has nicknames', '@weekly', '2026-01-01T00:00Z', '2026-01-04T00:00'],
    [
      'has hours of its zone',
      '0 3 * * *',
      '2026-01-01T00:00Z',
      '2026-01-01T02:00',
      'Europe/Berlin',
    ],
    ['follows summer time', '0 3 * * *', '2026-07-01T02:00Z', '2026-07-02T01:00', 'Europe/Berlin'],
    [
      'runs a skipped hour once, at the jump',
      '30 2 * * *',
      '2026-03-28T12:00Z',
      '2026-03-29T01:00',
      'Europe/Berlin',
    ],
    [
      'runs all of a skipped hour as one',
      '*/10 2 * * *',
      '2026-03-29T01:00Z',
      '2026-03-30T00:00',
      'Europe/Berlin',
    ],
    [
      'runs a repeated hour the first time',
      '30 2 * * *',
      '2026-10-24T12:00Z',
      '2026-10-25T00:30',
      'Europe/Berlin',
    ],
    [
      'does not run it the second time',
      '30 2 * * *',
      '2026-10-25T00:30Z',
      '2026-10-26T01:30',
      'Europe/Berlin',
    ],
    [
      'of every hour goes by time: skipped',
      '30 * * * *',
      '2026-03-29T00:30Z',
      '2026-03-29T01:30',
      'Europe/Berlin',
    ],
    [
      'of every hour goes by time: repeated',
      '30 * * * *',
      '2026-10-25T00:30Z',
      '2026-10-25T01:30',
      'Europe/Berlin',
    ],
    [
      'of half an hour of change is right',
      '15 2 * * *',
      '2026-10-03T00:00Z',
      '2026-10-03T15:30',
      'Australia/Lord_Howe',
    ],
    [
      'survives a day that was left out',
      '0 12 30 12 *',
      '2011-12-01T00:00Z',
      '2011-12-30T10:00',
      'Pacific/Apia',
    ],
  ]
  for (const [property, schedule, after, expected, zone] of rows) {
    it(property, () => assert.equal(next(schedule, after, zone), expected))
  }

  it('knows the last time it was due', () => {
    const daily = cronScheduleOf('0 3 * * *', '')!
    const at = (text: string): number => Date.parse(text)
    const latest = (after: string, until: string): number | undefined =>
      latestRunMs(daily, { afterMs: at(after), untilMs: at(until) })
    assert.equal(latest('2026-01-01T03:00Z', '2026-01-20T02:59Z'), at('2026-01-19T03:00Z'))
    assert.equal(latest('2026-01-01T03:00Z', '2026-01-20T03:00Z'), at('2026-01-20T03:00Z'))
    assert.equal(latest('2026-01-01T03:00Z', '2026-01-02T02:59Z'), undefined)
    assert.equal(latest('2026-01-02T02:59:59Z', '2026-01-02T03:00Z'), at('2026-01-02T03:00Z'))
  })
})

describe('a schedule is refused', () => {
  const rows: readonly [string, RegExp][] = [
    ['', /five fields/],
    ['* * * *', /five fields/],
    ['* * * * * *', /five fields/],
    ['60 * * * *', /minute: it must be from 0 to 59/],
    ['* 24 * * *', /hour: it must be from 0 to 23/],
    ['* * 0 * *', /day of month: it must be from 1 to 31/],
    ['* * * 13 *', /month: it must be from 1 to 12 or JAN to DEC/],
    ['* * * * 8', /day of week: it must be from 0 to 7 or SUN to SAT/],
    ['* * * * MOON', /day of week/],
    ['5-1 * * * *', /backwards/],
    ['*/0 * * * *', /step/],
    ['a/b * * * *', /must be \*/],
    ['1,,2 * * * *', /must be \*/],
    ['@sometimes', /@hourly/],
    ['0 0 30 2 *', /never due/],
    ['0 0 31 4,6,9,11 *', /never due/],
    ['9'.repeat(300), /at most 256/],
  ]
  for (const [schedule, problem] of rows) {
    it(`"${schedule.slice(0, 20)}": ${problem.source}`, () => {
      assert.match(problemWithSchedule(schedule) ?? '', problem)
    })
  }

  it('in a time zone that is none', () => {
    assert.equal(problemWithTimeZone('Europe/Berlin'), undefined)
    for (const zone of ['Europe/Atlantis', '+02:00', 'x y', 'a'.repeat(100)]) {
      assert.match(problemWithTimeZone(zone)!, /IANA/)
      assert.equal(cronScheduleOf('* * * * *', zone), undefined)
    }
  })
})

const shownByMinute = new Map<string, number>()

/** What clocks show; the same minutes are asked for again and again. */
function shownAt(zone: string, ms: number): number {
  const key = `${zone} ${ms}`
  const known = shownByMinute.get(key) ?? ms + offsetMsAt(zone, ms)
  shownByMinute.set(key, known)
  return known
}

/** Every minute after the instant is looked at as a wall clock would show it. */
function naiveNext(expression: CronExpression, zone: string, afterMs: number, untilMs: number) {
  const goesByTime = expression.hours.length === 24
  const shown = (ms: number): number => shownAt(zone, ms)
  for (let ms = (Math.floor(afterMs / 60_000) + 1) * 60_000; ms <= untilMs; ms += 60_000) {
    const now = shown(ms)
    if (goesByTime) {
      if (matches(expression, now)) return ms
      continue
    }
    const isRepeated = [30, 60, 120].some((minutes) => shown(ms - minutes * 60_000) === now)
    if (isRepeated) continue
    for (let skipped = shown(ms - 60_000) + 60_000; skipped < now; skipped += 60_000) {
      if (matches(expression, skipped)) return ms
    }
    if (matches(expression, now)) return ms
  }
  return undefined
}

function matches(expression: CronExpression, shownMs: number): boolean {
  const date = new Date(shownMs)
  const dayOfMonth = expression.daysOfMonth.has(date.getUTCDate())
  const dayOfWeek = expression.daysOfWeek.has(date.getUTCDay())
  return (
    expression.minutes.includes(date.getUTCMinutes()) &&
    expression.hours.includes(date.getUTCHours()) &&
    expression.months.has(date.getUTCMonth() + 1) &&
    (expression.needsBothDays ? dayOfMonth && dayOfWeek : dayOfMonth || dayOfWeek)
  )
}

it('whatever the schedule, zone and moment, the next run is the one a minute-by-minute search finds', () => {
  const zones = [
    'UTC',
    'Europe/Berlin',
    'America/New_York',
    'America/St_Johns',
    'Australia/Lord_Howe',
    'Asia/Kolkata',
    'America/Havana',
    'Pacific/Apia',
  ]
  // About the changes of clocks, where it is easy to be wrong; St John's once put them back over midnight.
  const moments = [
    '2026-03-08T03:00Z',
    '2026-03-28T20:00Z',
    '2026-04-04T10:00Z',
    '2026-10-03T10:00Z',
    '2026-10-24T20:00Z',
    '2026-11-01T02:00Z',
    '2010-11-07T00:00Z',
    '2010-03-14T00:00Z',
    '2026-02-27T22:00Z',
  ]
  const random = seededRandom(26)
  const oneOf = (items: readonly string[]): string => pick(random, items)!
  const minutes = ['*', '*/7', '0', '30', '15,45', '1-59/13']
  const hours = ['*', '0', '2', '1-3', '23', '*/2', '0,1,2,23']
  const days = ['*', '*/2', '1', '29', '8-14']
  const weekdays = ['*', 'SUN', '1-5', '*/3']
  for (let n = 0; n < 250; n++) {
    const text = `${oneOf(minutes)} ${oneOf(hours)} ${oneOf(days)} * ${oneOf(weekdays)}`
    const zone = oneOf(zones)
    const afterMs = Date.parse(oneOf(moments)) + Math.floor(random.next() * 1_440) * 60_000
    const untilMs = afterMs + 1.5 * 86_400_000
    const parsed = parseCronExpression(text)
    assert.equal(parsed.kind, 'ok')
    const { expression } = parsed as Extract<typeof parsed, { kind: 'ok' }>
    const found = nextRunMs({ expression, timeZone: zone }, afterMs)
    const expected = naiveNext(expression, zone, afterMs, untilMs)
    const at = `"${text}" in ${zone} after ${new Date(afterMs).toISOString()}`
    assert.equal(found !== undefined && found <= untilMs ? found : undefined, expected, at)
  }
})
