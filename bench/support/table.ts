/** How a bench prints what it measured: the machine first, then one row a figure. */
import { execFileSync } from 'node:child_process'
import { cpus, release, totalmem } from 'node:os'
import { formatBytes, systemClock, version } from '@cloudless/base'

export interface Row {
  readonly figure: string
  /** Such as "p50 412 ms, p95 630 ms (20 runs)". */
  readonly measured: string
  /** Such as "p50 <= 1000 ms". */
  readonly wanted: string
  readonly isMet: boolean
}

export function printTable(title: string, rows: readonly Row[]): void {
  const header = ['', 'figure', 'measured', 'wanted']
  const lines = rows.map((row) => [
    row.isMet ? 'ok' : 'MISSED',
    row.figure,
    row.measured,
    row.wanted,
  ])
  const widths = header.map((_, column) =>
    Math.max(...[header, ...lines].map((line) => line[column]!.length)),
  )
  const format = (line: readonly string[]): string =>
    line.map((cell, column) => cell.padEnd(widths[column]!)).join('  ')
  console.log(`\n${title}\n${machine()}\n`)
  for (const line of [header, ...lines]) console.log(format(line).trimEnd())
}

function machine(): string {
  const processor = cpus()
  const date = new Date(systemClock.wallMs()).toISOString().slice(0, 10)
  const parts = [
    `cloudless ${version}`,
    `node ${process.versions.node}`,
    versionOf('containerd', ['--version']),
    versionOf('runc', ['--version']),
    `Linux ${release()}`,
    `${processor.length} x ${processor[0]?.model ?? 'unknown'}`,
    formatBytes(totalmem()),
    date,
  ]
  return parts.join(' · ')
}

function versionOf(program: string, args: readonly string[]): string {
  try {
    const text = execFileSync(program, [...args], { encoding: 'utf8' })
    return `${program} ${/\d+\.\d+\.\d+/.exec(text)?.[0] ?? 'unknown'}`
  } catch {
    return `${program} absent`
  }
}

/** The value below which the share `rank` (0 to 1) of the samples lies. */
export function percentile(samples: readonly number[], rank: number): number {
  const sorted = samples.toSorted((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.ceil(rank * sorted.length) - 1)] ?? NaN
}

export function summarizeMs(samples: readonly number[]): string {
  const ms = (value: number): string => `${Math.round(value)} ms`
  return (
    `p50 ${ms(percentile(samples, 0.5))}, p95 ${ms(percentile(samples, 0.95))}, ` +
    `worst ${ms(Math.max(...samples))} (${samples.length} runs)`
  )
}
