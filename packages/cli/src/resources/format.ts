/** Small values as people read them. */
import type { DescEnum } from '@bufbuild/protobuf'
import { formatBytes, formatDurationMs } from '@cloudless/base'

/** "READY" for NODE_PHASE_READY; the number when this version does not know it. */
export function enumLabel(schema: DescEnum, value: number): string {
  return schema.value[value]?.localName ?? String(value)
}

/** Time since, as "3d4h"; "-" when it has not happened. */
export function age(sinceMs: bigint, nowMs: number): string {
  return sinceMs === 0n ? '-' : formatDurationMs(Math.max(1_000, nowMs - Number(sinceMs)))
}

/** "2026-11-20 21:50:56Z"; "-" when it has not happened. */
export function instant(wallMs: bigint): string {
  if (wallMs === 0n) return '-'
  return `${new Date(Number(wallMs)).toISOString().slice(0, 19).replace('T', ' ')}Z`
}

export function bytes(count: bigint | undefined): string {
  return formatBytes(Number(count ?? 0n))
}

export function mebibytes(count: bigint | undefined): string {
  return String(Math.round(Number(count ?? 0n) / 1024 ** 2))
}

/** "250/2000" style shares, with a percentage where the whole is known. */
export function percent(part: number, whole: number): string {
  return whole > 0 ? `${Math.round((100 * part) / whole)}%` : '-'
}

/** "a=1,b=2" in the order of the keys; "-" when there are none. */
export function pairs(map: Readonly<Record<string, string>>): string {
  const text = Object.keys(map)
    .sort()
    .map((key) => `${key}=${map[key]}`)
    .join(',')
  return orDash(text)
}

export function orDash(text: string): string {
  return text === '' ? '-' : text
}
