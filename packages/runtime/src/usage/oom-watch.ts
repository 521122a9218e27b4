/**
 * Whether a container ended for want of memory.
 *
 * Two witnesses, because neither is always there: containerd's event, which an agent that was away has missed, and
 * the kernel's counter, which lives as long as the cgroup.
 */
import type { CgroupTree } from './cgroup-tree.ts'

const rememberedMax = 4096

export class OomWatch {
  readonly #cgroups: CgroupTree
  readonly #seen = new Set<string>()

  constructor(cgroups: CgroupTree) {
    this.#cgroups = cgroups
  }

  noteEvent(containerId: string): void {
    this.#seen.add(containerId)
    if (this.#seen.size > rememberedMax) this.#seen.delete(this.#seen.keys().next().value!)
  }

  /** Called when a container starts afresh. */
  forget(containerId: string): void {
    this.#seen.delete(containerId)
  }

  async wasKilled(containerId: string, cgroupPath: string): Promise<boolean> {
    if (this.#seen.has(containerId)) return true
    return cgroupPath !== '' && (await this.#cgroups.oomKills(cgroupPath)) > 0
  }
}
