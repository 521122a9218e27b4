/** How far a time zone's clocks are from UTC at an instant. */

/** Zones that are remembered; there are about 600. Beyond it they are looked up anew. */
const formattersMax = 1_000

const formatterByZone = new Map<string, Intl.DateTimeFormat>()

/** Undefined when it is one that `offsetMsAt` understands: an IANA name, or empty for UTC. */
export function problemWithTimeZone(timeZone: string): string | undefined {
  if (isUtc(timeZone)) return undefined
  const problem = `must be the IANA name of a time zone, such as "Europe/Berlin", not "${timeZone}"`
  // Offsets such as "+02:00" are understood by some engines, and have no daylight saving time.
  if (!/^[A-Za-z]/.test(timeZone) || timeZone.length > 64) return problem
  try {
    formatterOf(timeZone)
    return undefined
  } catch {
    // The engine says so by throwing.
    return problem
  }
}

/** What local clocks show less what UTC is, milliseconds. Throws for a zone with a problem. */
export function offsetMsAt(timeZone: string, instantMs: number): number {
  if (isUtc(timeZone)) return 0
  const found: Record<string, number> = {}
  for (const { type, value } of formatterOf(timeZone).formatToParts(instantMs)) {
    found[type] = Number(value)
  }
  const shown = Date.UTC(
    found['year']!,
    found['month']! - 1,
    found['day'],
    found['hour'],
    found['minute'],
    found['second'],
  )
  return shown - Math.floor(instantMs / 1_000) * 1_000
}

function isUtc(timeZone: string): boolean {
  return timeZone === '' || timeZone === 'UTC'
}

/** Making one takes a hundred times as long as using it. */
function formatterOf(timeZone: string): Intl.DateTimeFormat {
  const known = formatterByZone.get(timeZone)
  if (known !== undefined) return known
  const formatter = new Intl.DateTimeFormat('en-US', {
    timeZone,
    calendar: 'gregory',
    numberingSystem: 'latn',
    hourCycle: 'h23',
    year: 'numeric',
    month: 'numeric',
    day: 'numeric',
    hour: 'numeric',
    minute: 'numeric',
    second: 'numeric',
  })
  if (formatterByZone.size >= formattersMax) formatterByZone.clear()
  formatterByZone.set(timeZone, formatter)
  return formatter
}
