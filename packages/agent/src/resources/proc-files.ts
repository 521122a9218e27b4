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

/** The interface of the default route with the lowest metric in /proc/net/route, or undefined. */
export function parseDefaultInterface(route: string): string | undefined {
  const defaults = route.split('\n').flatMap((line) => {
    const [name = '', destination, , flags = '', , , metric = '', mask = ''] = line.split(/\s+/)
    const isDefault = destination === '00000000' && Number.parseInt(mask || '0', 16) === 0
    return isDefault && isUp(flags) ? [{ name, metric: Number(metric) }] : []
  })
  return preferred(defaults)
}

/** As parseDefaultInterface, of /proc/net/ipv6_route. */
export function parseDefaultInterfaceV6(route: string): string | undefined {
  const defaults = route.split('\n').flatMap((line) => {
    const [destination, length, , , , metric = '', , , flags = '', name = ''] = line.split(/\s+/)
    const isDefault = destination === '0'.repeat(32) && length === '00'
    return isDefault && isUp(flags) ? [{ name, metric: Number.parseInt(metric, 16) }] : []
  })
  return preferred(defaults)
}

const routeUp = 0x1
const routeReject = 0x200

function isUp(flags: string): boolean {
  return (Number.parseInt(flags, 16) & (routeUp | routeReject)) === routeUp
}

function preferred(routes: readonly { readonly name: string; readonly metric: number }[]) {
  return routes.toSorted((a, b) => a.metric - b.metric)[0]?.name
}
