/** What the kernel is to enforce, in the OCI specification's words. */
import type { ResourceRequirements } from '@cloudless/api'

export interface OciResources {
  readonly devices: readonly {
    readonly allow: boolean
    readonly access: string
    readonly type?: string
    readonly major?: number
    readonly minor?: number
  }[]
  readonly cpu: { readonly shares: number; readonly quota?: number; readonly period?: number }
  readonly memory: { readonly limit?: number; readonly swap?: number }
  readonly pids: { readonly limit: number }
}

const cpuPeriodUs = 100_000
/** runc refuses less. */
const cpuQuotaUsMin = 1_000
const sharesMin = 2
const sharesMax = 262_144
/** A page more than a shell needs; below it not even runc's own start fits. */
const memoryBytesMin = 6 * 1024 * 1024

export function ociResourcesOf(
  resources: ResourceRequirements | undefined,
  options: { readonly pidsLimitDefault: number; readonly privileged: boolean },
): OciResources {
  const limits = resources?.limits
  const cpuLimit = limits?.cpuMillicores ?? 0
  const cpuRequest = resources?.requests?.cpuMillicores || cpuLimit
  const memoryLimit = Number(limits?.memoryBytes ?? 0n)
  const memory = memoryLimit > 0 ? Math.max(memoryLimit, memoryBytesMin) : 0
  return {
    devices: options.privileged
      ? [{ allow: true, access: 'rwm' }]
      : [{ allow: false, access: 'rwm' }],
    cpu: {
      shares: clamp(Math.round((cpuRequest * 1024) / 1000), sharesMin, sharesMax),
      ...(cpuLimit > 0 ? { quota: quotaUsOf(cpuLimit), period: cpuPeriodUs } : {}),
    },
    // Swap counts memory and swap together: the same number means no swap.
    memory: memory > 0 ? { limit: memory, swap: memory } : {},
    pids: { limit: resources?.pidsLimit || options.pidsLimitDefault },
  }
}

function quotaUsOf(millicores: number): number {
  return Math.max(cpuQuotaUsMin, Math.round((millicores * cpuPeriodUs) / 1000))
}

function clamp(value: number, min: number, max: number): number {
  return Math.min(Math.max(value, min), max)
}
