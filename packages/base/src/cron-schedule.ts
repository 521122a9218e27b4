/**
 * When a schedule is due: pure, and bounded however odd the schedule.
 *
 * It goes by the clocks of its time zone. Where these are put forward, what was due in the hour that is left out is due once,
 * at the moment they jump; where they are put back, what is due in the hour that comes twice is due the first time. A
 * schedule of every hour goes by the time that passes instead: "every five minutes" stays every five minutes.
 */
import { parseCronExpression, type CronExpression } from './cron-expression.ts'
import { offsetMsAt, problemWithTimeZone } from './time-zone.ts'

export interface CronSchedule {
  readonly expression: CronExpression
  readonly timeZone: string
}

const minuteMs = 60_000
const hourMs = 3_600_000
const dayMs = 86_400_000
const hoursOfDay = 24
/** A 29th of February that is a certain day of the week comes after 40 years at most. */
const daysSearchedMax = 15_000
/** No zone is further from UTC, on either side of a change. */
const offsetMsMax = 36 * hourMs
/** For asking whether it is ever due, whatever the time is now. */
const someMoment = Date.UTC(2000, 0, 1)

/** What is wrong with the schedule; undefined when it may be used. */
export function problemWithSchedule(schedule: string): string | undefined {
  const result = parseCronExpression(schedule)
  if (result.kind === 'invalid') return result.problem
  const isEverDue = nextRunMs({ expression: result.expression, timeZone: '' }, someMoment)
  return isEverDue === undefined
    ? `is never due: there is no such day as in "${schedule}"`
    : undefined
}

/** Undefined when either has a problem. */
export function cronScheduleOf(schedule: string, timeZone: string): CronSchedule | undefined {
  const result = parseCronExpression(schedule)
  if (result.kind === 'invalid' || problemWithTimeZone(timeZone) !== undefined) return undefined
  return { expression: result.expression, timeZone }
}

/** The first time it is due after the instant, unix milliseconds. Undefined: never. */
export function nextRunMs(schedule: CronSchedule, afterMs: number): number | undefined {
  const shownMs = afterMs + offsetMsAt(schedule.timeZone, afterMs)
  // What a day leaves out is due on the next at the latest.
  const today = Math.floor(shownMs / dayMs) - 1
  for (let day = today; day < today + daysSearchedMax; day++) {
    if (!isDueOn(schedule.expression, day)) continue
    const { runs, hasChange } = runsOf(schedule, day)
    const next = runs.find((atMs) => atMs > afterMs)
    if (next === undefined) continue
    if (!hasChange || !isDueOn(schedule.expression, day + 1)) return next
    // Clocks that are put back over midnight show the beginning of the next day before the end of this one.
    const tomorrow = runsOf(schedule, day + 1).runs.find((atMs) => atMs > afterMs)
    return Math.min(next, tomorrow ?? next)
  }
  return undefined
}

/** The last time it was due, after the one instant and not after the other. Undefined: it was not. */
export function latestRunMs(
  schedule: CronSchedule,
  between: { readonly afterMs: number; readonly untilMs: number },
): number | undefined {
  const { afterMs, untilMs } = between
  const isDueAfter = (atMs: number): boolean => (nextRunMs(schedule, atMs) ?? Infinity) <= untilMs
  if (!isDueAfter(afterMs)) return undefined
  // Halving: it is due after `sure`, and not any more after `unsure`.
  let sure = 0
  let unsure = Math.ceil((untilMs - afterMs) / minuteMs)
  while (unsure - sure > 1) {
    const middle = Math.floor((sure + unsure) / 2)
    if (isDueAfter(afterMs + middle * minuteMs)) sure = middle
    else unsure = middle
  }
  return nextRunMs(schedule, afterMs + sure * minuteMs)
}

/** Days are counted from 1970-01-01, a Thursday. */
function isDueOn(expression: CronExpression, day: number): boolean {
  const date = new Date(day * dayMs)
  if (!expression.months.has(date.getUTCMonth() + 1)) return false
  const isDayOfMonth = expression.daysOfMonth.has(date.getUTCDate())
  const isDayOfWeek = expression.daysOfWeek.has(date.getUTCDay())
  return expression.needsBothDays ? isDayOfMonth && isDayOfWeek : isDayOfMonth || isDayOfWeek
}

interface RunsOfDay {
  /** In order, each once. */
  readonly runs: readonly number[]
  /** The clocks may be changed about then. */
  readonly hasChange: boolean
}

function runsOf({ expression, timeZone }: CronSchedule, day: number): RunsOfDay {
  const startMs = day * dayMs
  const shown = expression.hours.flatMap((hour) =>
    expression.minutes.map((minute) => startMs + hour * hourMs + minute * minuteMs),
  )
  const span = { fromMs: startMs - offsetMsMax, toMs: startMs + dayMs + offsetMsMax }
  const before = offsetMsAt(timeZone, span.fromMs)
  const after = offsetMsAt(timeZone, span.toMs)
  if (before === after) return { runs: shown.map((ms) => ms - before), hasChange: false }
  const changeMs = changeWithin(timeZone, span, after)
  const runs = new Set<number>()
  const goesByTime = expression.hours.length === hoursOfDay
  for (const shownMs of shown) {
    const isBefore = shownMs - before < changeMs
    const isAfter = shownMs - after >= changeMs
    if (isBefore) runs.add(shownMs - before)
    if (isAfter && (!isBefore || goesByTime)) runs.add(shownMs - after)
    if (!isBefore && !isAfter && !goesByTime) runs.add(changeMs)
  }
  return { runs: [...runs].sort((a, b) => a - b), hasChange: true }
}

/** The first second at which the offset is the new one. */
function changeWithin(
  timeZone: string,
  { fromMs, toMs }: { readonly fromMs: number; readonly toMs: number },
  offsetAfterMs: number,
): number {
  let [old, changed] = [fromMs / 1_000, toMs / 1_000]
  while (changed - old > 1) {
    const middle = Math.floor((old + changed) / 2)
    if (offsetMsAt(timeZone, middle * 1_000) === offsetAfterMs) changed = middle
    else old = middle
  }
  return changed * 1_000
}
