/** What a process takes of the machine, as /proc says. */
import { readFileSync } from 'node:fs'

/** Ticks of a CPU in a second; Linux says 100 on every machine we know. */
const ticksPerSecond = 100

export interface ProcessFigures {
  readonly residentBytes: number
  readonly residentBytesMax: number
  /** Of all its threads, since it was started. */
  readonly cpuSeconds: number
}

export function figuresOf(pid: number): ProcessFigures {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8')
  const kibibytes = (name: string): number =>
    Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(status)?.[1] ?? 0)
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
  // The name in parentheses may hold anything; utime and stime are the 12th and 13th after it.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return {
    residentBytes: kibibytes('VmRSS') * 1024,
    residentBytesMax: kibibytes('VmHWM') * 1024,
    cpuSeconds: (Number(fields[11]) + Number(fields[12])) / ticksPerSecond,
  }
}
