/** Rules for what a container asks for and the most it may take. */
import { formatBytes } from '@cloudless/base'
import type { ResourceCapacity, ResourceRequirements } from '../gen/cloudless/v1/resources_pb.ts'
import type { ProblemList } from './problem.ts'

export const iopsClasses = ['unknown', 'low', 'medium', 'high', 'premium'] as const

const cpuMillicoresMax = 1_024_000
const bytesMax = 2 ** 50
const gpusMax = 64
const pidsMax = 4_194_304
/** No process starts in less; it is nearly always a forgotten unit. */
const memoryLimitBytesMin = 2 ** 20

export function validateResources(resources: ResourceRequirements, problems: ProblemList): void {
  const { requests, limits } = resources
  if (requests !== undefined) validateCapacity(requests, problems.at('requests'))
  if (limits !== undefined) {
    validateCapacity(limits, problems.at('limits'))
    if (limits.memoryBytes > 0 && limits.memoryBytes < memoryLimitBytesMin) {
      problems
        .at('limits', 'memoryBytes')
        .add(`must be at least 1Mi, not ${limits.memoryBytes} bytes; is a unit missing?`)
    }
  }
  if (requests !== undefined && limits !== undefined) {
    validateWithinLimits(requests, limits, problems.at('requests'))
  }
  problems.at('pidsLimit').integer(resources.pidsLimit, { min: 0, max: pidsMax })
}

function validateCapacity(capacity: ResourceCapacity, problems: ProblemList): void {
  problems.at('cpuMillicores').integer(capacity.cpuMillicores, { min: 0, max: cpuMillicoresMax })
  for (const name of ['memoryBytes', 'storageBytes', 'bandwidthBps'] as const) {
    problems.at(name).integer(capacity[name], { min: 0, max: bytesMax })
  }
  problems.at('gpuCount').integer(capacity.gpuCount, { min: 0, max: gpusMax })
  problems.at('iopsClass').oneOf(capacity.iopsClass, ['', ...iopsClasses])
  if (capacity.gpuModels.includes('')) problems.at('gpuModels').add('must not contain empty names')
}

/** A limit of 0 is no limit. */
function validateWithinLimits(
  requests: ResourceCapacity,
  limits: ResourceCapacity,
  problems: ProblemList,
): void {
  for (const name of ['cpuMillicores', 'gpuCount'] as const) {
    if (limits[name] > 0 && requests[name] > limits[name]) {
      problems.at(name).add(`must not be above its limit: ${requests[name]} > ${limits[name]}`)
    }
  }
  for (const name of ['memoryBytes', 'storageBytes', 'bandwidthBps'] as const) {
    if (limits[name] > 0 && requests[name] > limits[name]) {
      const [request, limit] = [requests[name], limits[name]].map((n) => formatBytes(Number(n)))
      problems.at(name).add(`must not be above its limit: ${request} > ${limit}`)
    }
  }
}
