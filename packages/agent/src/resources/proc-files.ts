/** What the kernel's text files say. Pure parsers; a text that is not understood reads as zero. */

export interface CpuTimes {
  /** In the kernel's ticks, of all cores together. */
  readonly busy: number
  readonly total: number
}

/** The first line of /proc/stat. */
export function parseCpuTimes(stat: string): CpuTimes {
  const line = /^cpu\s+(.*)$/m.exec(stat)?.[1] ?? ''
  const [user = 0, nice = 0, system = 0, idle = 0, iowait = 0, irq = 0, softirq = 0, steal = 0] =
    line.split(/\s+/).map(Number)
  const busy = user + nice + system + irq + softirq + steal
  return { busy, total: busy + idle + iowait }
}

/** Bytes in use in /proc/meminfo: what is not available to new programs. */
export function parseMemoryUsed(meminfo: string): number {
  const kib = (name: string): number =>
    Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(meminfo)?.[1] ?? 0)
  return Math.max(0, kib('MemTotal') - kib('MemAvailable')) * 1024
}

/** Bytes sent over every interface but the loopback and virtual ones, of /proc/net/dev. */
export function parseBytesSent(netDev: string, isCounted: (name: string) => boolean): number {
  let total = 0
  for (const line of netDev.split('\n')) {
    const [, name, counters] = /^\s*([^:\s]+):\s*(.*)$/.exec(line) ?? []
    if (name === undefined || counters === undefined || !isCounted(name)) continue
    total += Number(counters.split(/\s+/)[8] ?? 0)
  }
  return total
}

/** The interface of the default route in /proc/net/route, or undefined. */
export function parseDefaultInterface(route: string): string | undefined {
  for (const line of route.split('\n')) {
    const [name, destination, , flags] = line.split(/\s+/)
    if (destination === '00000000' && (Number.parseInt(flags ?? '0', 16) & 1) === 1) return name
  }
  return undefined
}
