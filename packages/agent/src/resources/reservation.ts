/**
 * What containers hold of the node, and what is left. Pure.
 *
 * The coordinator counts what it assigned itself; containers run by hand it does not know, so what they hold is taken off
 * what the node says replicas may use.
 */
import { create } from '@bufbuild/protobuf'
import { ResourceCapacitySchema, type Assignment, type ResourceCapacity } from '@cloudless/api'
import { formatBytes } from '@cloudless/base'
import type { ReplicaMachine, Stage } from '../replica/replica-state.ts'

/** What ended for good holds nothing that another could use. */
const heldNothing: ReadonlySet<Stage> = new Set(['succeeded', 'failed', 'removed'])

/** The sum of the requests of everything that runs or will. */
export function reservedBy(replicas: Iterable<ReplicaMachine>): ResourceCapacity {
  const sum = create(ResourceCapacitySchema)
  for (const { assignment, stage } of replicas) {
    const requests = requestsOf(assignment)
    if (heldNothing.has(stage) || requests === undefined) continue
    sum.cpuMillicores += requests.cpuMillicores
    sum.memoryBytes += requests.memoryBytes
    sum.storageBytes += requests.storageBytes
    sum.bandwidthBps += requests.bandwidthBps
    sum.gpuCount += requests.gpuCount
  }
  return sum
}

/** Never below zero. */
export function lessReserved(all: ResourceCapacity, reserved: ResourceCapacity): ResourceCapacity {
  const left = (whole: bigint, part: bigint): bigint => (whole > part ? whole - part : 0n)
  return {
    ...all,
    cpuMillicores: Math.max(0, all.cpuMillicores - reserved.cpuMillicores),
    memoryBytes: left(all.memoryBytes, reserved.memoryBytes),
    storageBytes: left(all.storageBytes, reserved.storageBytes),
    bandwidthBps: left(all.bandwidthBps, reserved.bandwidthBps),
    gpuCount: Math.max(0, all.gpuCount - reserved.gpuCount),
  }
}

/** What of the assignment's requests is not left, such as "500m of CPU (200m left)"; empty when it fits. */
export function shortagesFor(assignment: Assignment, left: ResourceCapacity): string[] {
  const wanted = requestsOf(assignment)
  if (wanted === undefined) return []
  const bytes = (value: bigint): string => formatBytes(Number(value))
  const rows = [
    [
      wanted.cpuMillicores > left.cpuMillicores,
      `${wanted.cpuMillicores}m of CPU (${left.cpuMillicores}m left)`,
    ],
    [
      wanted.memoryBytes > left.memoryBytes,
      `${bytes(wanted.memoryBytes)} of memory (${bytes(left.memoryBytes)} left)`,
    ],
    [
      wanted.storageBytes > left.storageBytes,
      `${bytes(wanted.storageBytes)} of disk (${bytes(left.storageBytes)} left)`,
    ],
    [
      wanted.bandwidthBps > left.bandwidthBps,
      `${wanted.bandwidthBps} bit/s (${left.bandwidthBps} left)`,
    ],
    [wanted.gpuCount > left.gpuCount, `${wanted.gpuCount} GPUs (${left.gpuCount} left)`],
  ] as const
  return rows.filter(([isShort]) => isShort).map(([, text]) => text)
}

function requestsOf(assignment: Assignment): ResourceCapacity | undefined {
  return assignment.spec?.resources?.requests
}
