/** What the machine has, what of it replicas may use, and when it runs short. Pure. */
import { create } from '@bufbuild/protobuf'
import {
  NodeConditionSchema,
  ResourceCapacitySchema,
  type NodeCondition,
  type ResourceCapacity,
} from '@cloudless/api'

/** 0 means: what was detected. */
export interface CapacityOverrides {
  readonly cpuCores: number
  readonly memoryMb: number
  readonly storageGb: number
  readonly bandwidthMbps: number
}

/** Shares kept for the system and the agent itself, percent. */
export interface SystemReserve {
  readonly cpuPercent: number
  readonly memoryPercent: number
  readonly storagePercent: number
}

export interface DetectedCapacity {
  readonly cpuMillicores: number
  readonly memoryBytes: number
  readonly storageBytes: number
  readonly bandwidthBps: number
  readonly iopsClass: string
  readonly gpuModels: readonly string[]
}

export function capacityOf(
  detected: DetectedCapacity,
  overrides: CapacityOverrides,
): ResourceCapacity {
  const { cpuCores, memoryMb, storageGb, bandwidthMbps } = overrides
  const bandwidthBps = bandwidthMbps > 0 ? bandwidthMbps * 1e6 : detected.bandwidthBps
  return create(ResourceCapacitySchema, {
    cpuMillicores: cpuCores > 0 ? Math.round(cpuCores * 1_000) : detected.cpuMillicores,
    memoryBytes: BigInt(memoryMb > 0 ? memoryMb * 1024 ** 2 : detected.memoryBytes),
    storageBytes: BigInt(storageGb > 0 ? storageGb * 1024 ** 3 : detected.storageBytes),
    bandwidthBps: BigInt(Math.round(bandwidthBps)),
    gpuCount: detected.gpuModels.length,
    gpuModels: [...detected.gpuModels],
    iopsClass: detected.iopsClass,
  })
}

/** Bandwidth and GPUs are not held back. */
export function allocatableOf(
  capacity: ResourceCapacity,
  reserve: SystemReserve,
): ResourceCapacity {
  const left = (bytes: bigint, percent: number): bigint =>
    BigInt(Math.floor(Number(bytes) * (1 - percent / 100)))
  return {
    ...capacity,
    cpuMillicores: Math.floor(capacity.cpuMillicores * (1 - reserve.cpuPercent / 100)),
    memoryBytes: left(capacity.memoryBytes, reserve.memoryPercent),
    storageBytes: left(capacity.storageBytes, reserve.storagePercent),
  }
}

export interface UsedResources {
  readonly cpuMillicores: number
  readonly memoryBytes: number
  readonly storageBytes: number
  readonly bandwidthBps: number
}

/** Above this share a resource is short. */
const pressureRatio = 0.85

/** The conditions that hold: MemoryPressure, DiskPressure, CPUPressure. */
export function pressureConditions(
  capacity: ResourceCapacity,
  used: UsedResources,
): NodeCondition[] {
  const rows = [
    ['MemoryPressure', 'memory', used.memoryBytes, Number(capacity.memoryBytes)],
    ['DiskPressure', 'disk', used.storageBytes, Number(capacity.storageBytes)],
    ['CPUPressure', 'CPU', used.cpuMillicores, capacity.cpuMillicores],
  ] as const
  return rows
    .filter(([, , usage, all]) => all > 0 && usage / all > pressureRatio)
    .map(([type, what, usage, all]) =>
      create(NodeConditionSchema, {
        type,
        status: 'True',
        reason: 'AboveThreshold',
        message: `${Math.round((usage / all) * 100)} % of the ${what} is in use`,
      }),
    )
}

/** Writes a second of 4 KiB, each synced, as the contract's class. */
export function iopsClassOf(iops: number): string {
  if (iops <= 0) return 'unknown'
  if (iops < 100) return 'low'
  if (iops < 500) return 'medium'
  return iops < 3_000 ? 'high' : 'premium'
}

/** "NVIDIA A100-SXM4-40GB" is "nvidia-a100". */
export function gpuModelOf(vendor: string, name: string): string {
  const words = name
    .toLowerCase()
    .replace(vendor, '')
    .split(/[^a-z0-9]+/)
    .filter(
      (word) => word !== '' && !['geforce', 'tesla', 'corporation', 'graphics'].includes(word),
    )
  const model = words.slice(0, /^(rtx|gtx|arc|quadro)$/.test(words[0] ?? '') ? 2 : 1).join('-')
  return model === '' ? vendor : `${vendor}-${model}`
}
