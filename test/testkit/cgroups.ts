/**
 * A cgroup of its own for each host, in every hierarchy of this machine: its containers' cgroups are below it, so one
 * removal takes them all, and limits and figures inside are as on a machine of its own. cgroup v1, v2 and both at once.
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { systemCodeOf } from '@cloudless/base'
import { waitFor } from './wait-for.ts'

/** All hosts' cgroups are below this one. */
const commonParent = 'cloudless-hosts'

interface Hierarchy {
  readonly mountPoint: string
  readonly version: 1 | 2
}

/** Makes the host's cgroup in every hierarchy; the directories to which its first process is to be moved. */
export function createCgroups(hostId: string): string[] {
  return hierarchies().map((hierarchy) => {
    const parent = join(hierarchy.mountPoint, commonParent)
    const directory = join(parent, hostId)
    if (hierarchy.version === 2) handDownControllers(hierarchy.mountPoint)
    mkdirSync(parent, { recursive: true })
    if (hierarchy.version === 2) handDownControllers(parent)
    inheritCpuset(hierarchy.mountPoint, parent)
    mkdirSync(directory, { recursive: true })
    inheritCpuset(parent, directory)
    return directory
  })
}

/** Removes the host's cgroups and all below; its processes have been killed. Absent is fine. */
export async function removeCgroups(hostId: string): Promise<void> {
  for (const { mountPoint } of hierarchies()) {
    const parent = join(mountPoint, commonParent)
    await removeTree(join(parent, hostId))
    if (existsSync(parent) && subdirectoriesOf(parent).length === 0) await removeTree(parent)
  }
}

/** Ids of hosts that have cgroups. */
export function listCgroups(): string[] {
  const ids = hierarchies().flatMap(({ mountPoint }) => {
    const parent = join(mountPoint, commonParent)
    return existsSync(parent) ? subdirectoriesOf(parent) : []
  })
  return [...new Set(ids)]
}

function hierarchies(): Hierarchy[] {
  return readFileSync('/proc/self/mountinfo', 'utf8')
    .split('\n')
    .flatMap((line): Hierarchy[] => {
      const mountPoint = line.split(' ')[4] ?? ''
      const type = line.split(' - ')[1]?.split(' ')[0]
      if (!mountPoint.startsWith('/sys/fs/cgroup')) return []
      if (type === 'cgroup') return [{ mountPoint, version: 1 }]
      return type === 'cgroup2' ? [{ mountPoint, version: 2 }] : []
    })
}

/** Version 2 gives children only the controllers that their parent names. */
function handDownControllers(directory: string): void {
  const controllers = readFileSync(join(directory, 'cgroup.controllers'), 'utf8').trim()
  for (const controller of controllers.split(' ')) {
    try {
      if (controller !== '') {
        writeFileSync(join(directory, 'cgroup.subtree_control'), `+${controller}`)
      }
    } catch {
      // Some (real-time cpu, hugetlb) cannot be handed down everywhere; containers do without.
    }
  }
}

/** A version 1 cpuset takes no process until it has been told its CPUs and memory nodes. */
function inheritCpuset(parent: string, directory: string): void {
  for (const file of ['cpuset.cpus', 'cpuset.mems']) {
    const source = join(parent, file)
    const target = join(directory, file)
    if (!existsSync(target) || readFileSync(target, 'utf8').trim() !== '') continue
    if (existsSync(source)) writeFileSync(target, readFileSync(source, 'utf8'))
  }
}

async function removeTree(directory: string): Promise<void> {
  if (!existsSync(directory)) return
  for (const child of subdirectoriesOf(directory)) await removeTree(join(directory, child))
  // The kernel says EBUSY for a moment after the last process has ended.
  await waitFor(() => isRemoved(directory), {
    what: `the removal of cgroup ${directory}`,
    pollMs: 20,
  })
}

function isRemoved(directory: string): boolean {
  try {
    rmdirSync(directory)
    return true
  } catch (reason) {
    return systemCodeOf(reason) === 'ENOENT'
  }
}

function subdirectoriesOf(directory: string): string[] {
  try {
    return readdirSync(directory, { withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .map((entry) => entry.name)
  } catch (reason) {
    if (systemCodeOf(reason) === 'ENOENT') return []
    throw reason
  }
}
