/** Where this machine keeps its cgroups, and reading a container's. */
import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import {
  filesOfVersion1,
  filesOfVersion2,
  parseKeyValues,
  usageOfVersion1,
  usageOfVersion2,
  type CgroupUsage,
} from './cgroup-files.ts'

/** Hybrid machines count as version 1: their controllers are there. */
export type CgroupVersion = 1 | 2

export class CgroupTree {
  readonly #root: string
  readonly version: CgroupVersion

  constructor(root = '/sys/fs/cgroup') {
    this.#root = root
    this.version = existsSync(join(root, 'cgroup.controllers')) ? 2 : 1
  }

  /** Undefined when the cgroup is gone. */
  async usageOf(cgroupPath: string): Promise<CgroupUsage | undefined> {
    const files: Record<string, string | undefined> = {}
    const read = async (directory: string, name: string): Promise<void> => {
      files[name] = await readFile(join(directory, name), 'utf8').catch(() => undefined)
    }
    if (this.version === 2) {
      const directory = join(this.#root, cgroupPath)
      await Promise.all(filesOfVersion2.map((name) => read(directory, name)))
      return files['memory.current'] === undefined ? undefined : usageOfVersion2(files)
    }
    const reads = Object.entries(filesOfVersion1).flatMap(([controller, names]) =>
      names.map((name) => read(join(this.#root, controller, cgroupPath), name)),
    )
    await Promise.all(reads)
    return files['memory.usage_in_bytes'] === undefined ? undefined : usageOfVersion1(files)
  }

  /** How many of its processes the kernel has killed for its memory limit; 0 when the cgroup is gone. */
  async oomKills(cgroupPath: string): Promise<number> {
    const path =
      this.version === 2
        ? join(this.#root, cgroupPath, 'memory.events')
        : join(this.#root, 'memory', cgroupPath, 'memory.oom_control')
    const text = await readFile(path, 'utf8').catch(() => '')
    return parseKeyValues(text).get('oom_kill') ?? 0
  }
}
