/** `agent inspect`: who this node is and what it would offer, without joining anything. */
import { existsSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { formatBytes, systemClock } from '@cloudless/base'
import { loadCredentials } from '@cloudless/identity'
import { allocatableOf, capacityOf } from '../resources/capacity.ts'
import { detectCapacity } from '../resources/detect.ts'
import { detectMeteredLink } from '../resources/metered-link.ts'
import type { AgentSettings } from './settings.ts'
import { meteredLinkOf, nodeNameOf, overridesOf, reserveOf } from './options-of.ts'

export async function inspect(settings: AgentSettings): Promise<number> {
  const directory = settings.data_dir
  const measured = existsSync(directory) ? directory : tmpdir()
  const detected = await detectCapacity(systemClock, measured)
  const capacity = capacityOf(detected, overridesOf(settings))
  const allocatable = allocatableOf(capacity, reserveOf(settings))
  const isMetered = meteredLinkOf(settings) ?? (await detectMeteredLink())
  const credentials = existsSync(directory)
    ? loadCredentials(join(directory, 'identity'))
    : undefined
  const until = credentials && new Date(credentials.notAfterMs).toISOString()
  const rows = [
    ['name', nodeNameOf(settings)],
    ['node id', credentials?.id ?? 'not enrolled'],
    ['certificate', until === undefined ? 'none' : `until ${until}`],
    ['CPU', `${allocatable.cpuMillicores}m of ${capacity.cpuMillicores}m`],
    ['memory', `${size(allocatable.memoryBytes)} of ${size(capacity.memoryBytes)}`],
    ['storage', `${size(allocatable.storageBytes)} of ${size(capacity.storageBytes)}`],
    ['bandwidth', `${Number(capacity.bandwidthBps) / 1e6} Mbit/s`],
    ['link', isMetered ? 'metered' : 'not metered'],
    ['disk class', capacity.iopsClass],
    ['GPUs', capacity.gpuModels.join(', ') || 'none'],
  ] as const
  console.log()
  for (const [name, value] of rows) console.log(`${name.padEnd(12)} ${value}`)
  return 0
}

function size(bytes: bigint): string {
  return formatBytes(Number(bytes))
}
