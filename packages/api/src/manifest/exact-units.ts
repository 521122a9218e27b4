/** Numbers with the largest unit that says them exactly, so that reading them back gives the same number. */

const durationUnits = [
  ['h', 3_600_000],
  ['m', 60_000],
  ['s', 1_000],
] as const

/** "30s", "90m", "1500ms". */
export function formatExactDuration(durationMs: number): string {
  return inUnits(durationMs, durationUnits) ?? `${durationMs}ms`
}

const sizeUnits = [
  ['Ti', 1024 ** 4],
  ['Gi', 1024 ** 3],
  ['Mi', 1024 ** 2],
  ['Ki', 1024],
] as const

/** "512Mi"; a number of bytes when no unit divides it. */
export function formatExactSize(bytes: number): string | number {
  return inUnits(bytes, sizeUnits) ?? bytes
}

const countUnits = [
  ['G', 1e9],
  ['M', 1e6],
  ['K', 1e3],
] as const

/** "100M"; the number itself when no unit divides it. */
export function formatCount(count: number): string | number {
  return inUnits(count, countUnits) ?? count
}

function inUnits(
  value: number,
  units: readonly (readonly [name: string, factor: number])[],
): string | undefined {
  const unit = value > 0 ? units.find(([, factor]) => value % factor === 0) : undefined
  return unit && `${value / unit[1]}${unit[0]}`
}
