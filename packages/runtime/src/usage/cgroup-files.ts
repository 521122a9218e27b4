/** What the kernel says of a cgroup: parsers of its files, for version 1 and version 2. Pure. */

/** "key value" lines, as in memory.events, cpu.stat and memory.oom_control. */
export function parseKeyValues(text: string): ReadonlyMap<string, number> {
  const values = new Map<string, number>()
  for (const line of text.split('\n')) {
    const [key, value] = line.split(' ')
    if (key && value !== undefined && /^\d+$/.test(value)) values.set(key, Number(value))
  }
  return values
}

/** A file of one number; "max" and absurdly large numbers mean no limit: 0. */
export function parseLimit(text: string): number {
  const value = Number(text.trim())
  return Number.isFinite(value) && value < 2 ** 60 ? value : 0
}

export interface CgroupUsage {
  readonly cpuTotalUs: number
  readonly throttledUs: number
  /** Without the page cache that can be dropped at once. */
  readonly memoryBytes: number
  readonly memoryLimitBytes: number
  readonly pids: number
}

/** Contents by file name; what is absent counts as 0. */
export type CgroupFiles = Readonly<Record<string, string | undefined>>

export const filesOfVersion1 = {
  cpuacct: ['cpuacct.usage'],
  cpu: ['cpu.stat'],
  memory: ['memory.usage_in_bytes', 'memory.limit_in_bytes', 'memory.stat'],
  pids: ['pids.current'],
} as const

export const filesOfVersion2 = [
  'cpu.stat',
  'memory.current',
  'memory.max',
  'memory.stat',
  'pids.current',
] as const

export function usageOfVersion1(files: CgroupFiles): CgroupUsage {
  const inactive = parseKeyValues(files['memory.stat'] ?? '').get('total_inactive_file') ?? 0
  return {
    cpuTotalUs: Math.floor(numberIn(files['cpuacct.usage']) / 1000),
    throttledUs: Math.floor(
      (parseKeyValues(files['cpu.stat'] ?? '').get('throttled_time') ?? 0) / 1000,
    ),
    memoryBytes: Math.max(0, numberIn(files['memory.usage_in_bytes']) - inactive),
    memoryLimitBytes: parseLimit(files['memory.limit_in_bytes'] ?? ''),
    pids: numberIn(files['pids.current']),
  }
}

export function usageOfVersion2(files: CgroupFiles): CgroupUsage {
  const cpu = parseKeyValues(files['cpu.stat'] ?? '')
  const inactive = parseKeyValues(files['memory.stat'] ?? '').get('inactive_file') ?? 0
  return {
    cpuTotalUs: cpu.get('usage_usec') ?? 0,
    throttledUs: cpu.get('throttled_usec') ?? 0,
    memoryBytes: Math.max(0, numberIn(files['memory.current']) - inactive),
    memoryLimitBytes: parseLimit(files['memory.max'] ?? ''),
    pids: numberIn(files['pids.current']),
  }
}

/** Bytes over all interfaces but the loopback, from /proc/<pid>/net/dev. */
export function parseNetworkDevices(text: string): { received: number; sent: number } {
  let received = 0
  let sent = 0
  for (const line of text.split('\n')) {
    const [name, rest] = line.split(':')
    if (rest === undefined || name?.trim() === 'lo') continue
    const fields = rest.trim().split(/\s+/).map(Number)
    received += fields[0] ?? 0
    sent += fields[8] ?? 0
  }
  return { received, sent }
}

function numberIn(text: string | undefined): number {
  const value = Number((text ?? '').trim())
  return Number.isFinite(value) ? value : 0
}
