/**
 * Whether a node's capacity holds a request. The one definition: the scheduler decides by it, and the coordinator admits
 * by it again when it commits a placement, so that no node is ever given more than it has.
 */
import type { Resources } from './model.ts'

/** Undefined when `requests` fit beside what is reserved; otherwise which resource does not, in words for people. */
export function lackingResource(
  allocatable: Resources,
  reserved: Resources,
  requests: Resources,
): string | undefined {
  // What is not asked for is not looked at: a node may have been given less than is reserved on it.
  if (lacks(allocatable.cpuMillis, reserved.cpuMillis, requests.cpuMillis)) return 'not enough CPU'
  if (lacks(allocatable.memoryBytes, reserved.memoryBytes, requests.memoryBytes)) {
    return 'not enough memory'
  }
  if (lacks(allocatable.storageBytes, reserved.storageBytes, requests.storageBytes)) {
    return 'not enough storage'
  }
  if (lacks(allocatable.bandwidthBps, reserved.bandwidthBps, requests.bandwidthBps)) {
    return 'not enough bandwidth'
  }
  if (lacks(allocatable.gpuCount, reserved.gpuCount, requests.gpuCount)) return 'not enough GPUs'
  return undefined
}

export function fits(allocatable: Resources, reserved: Resources, requests: Resources): boolean {
  return lackingResource(allocatable, reserved, requests) === undefined
}

function lacks(allocatable: number, reserved: number, request: number): boolean {
  return request > 0 && reserved + request > allocatable
}

export function addResources(one: Resources, other: Resources): Resources {
  return {
    cpuMillis: one.cpuMillis + other.cpuMillis,
    memoryBytes: one.memoryBytes + other.memoryBytes,
    storageBytes: one.storageBytes + other.storageBytes,
    bandwidthBps: one.bandwidthBps + other.bandwidthBps,
    gpuCount: one.gpuCount + other.gpuCount,
  }
}

/** Never below zero. */
export function subtractResources(from: Resources, taken: Resources): Resources {
  return {
    cpuMillis: Math.max(0, from.cpuMillis - taken.cpuMillis),
    memoryBytes: Math.max(0, from.memoryBytes - taken.memoryBytes),
    storageBytes: Math.max(0, from.storageBytes - taken.storageBytes),
    bandwidthBps: Math.max(0, from.bandwidthBps - taken.bandwidthBps),
    gpuCount: Math.max(0, from.gpuCount - taken.gpuCount),
  }
}
