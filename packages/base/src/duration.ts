/** Durations as people write them: "250ms", "30s", "5m", "24h", "90d", "1h30m". */

const msByUnit: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
  w: 604_800_000,
}

const shape = /^(\d+(\.\d+)?(ms|s|m|h|d|w))+$/

/** Milliseconds, or undefined when the text is not a duration. */
export function parseDurationMs(text: string): number | undefined {
  if (text === '0') return 0
  if (!shape.test(text)) return undefined
  let totalMs = 0
  for (const [, amount, , unit] of text.matchAll(/(\d+(\.\d+)?)(ms|s|m|h|d|w)/g)) {
    totalMs += Number(amount) * msByUnit[unit!]!
  }
  return Math.round(totalMs)
}

/** The largest two units, as kubectl prints ages: "3d4h", "5m12s", "45s", "120ms". */
export function formatDurationMs(durationMs: number): string {
  if (durationMs < 1_000) return `${Math.max(0, Math.round(durationMs))}ms`
  const seconds = Math.floor(durationMs / 1_000)
  const days = Math.floor(seconds / 86_400)
  const hours = Math.floor(seconds / 3_600) % 24
  const minutes = Math.floor(seconds / 60) % 60
  if (days > 0) return hours > 0 && days < 8 ? `${days}d${hours}h` : `${days}d`
  if (hours > 0) return minutes > 0 ? `${hours}h${minutes}m` : `${hours}h`
  if (minutes > 0) return seconds % 60 > 0 ? `${minutes}m${seconds % 60}s` : `${minutes}m`
  return `${seconds}s`
}

/** As it is written in a configuration: nothing rounded, so that reading it gives the same number again. */
export function formatDurationMsExactly(durationMs: number): string {
  const rounded = formatDurationMs(durationMs)
  if (parseDurationMs(rounded) === durationMs) return rounded
  return durationMs < 60_000 ? `${durationMs / 1_000}s` : `${durationMs}ms`
}
