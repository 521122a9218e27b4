/**
 * How the scheduler chooses, as it is in force: what an operator has set while the cluster runs, over what the
 * configuration file says. Pure.
 */
import { create } from '@bufbuild/protobuf'
import {
  SchedulerConfigurationSchema,
  ScoreWeightsSchema,
  type SchedulerConfiguration,
} from '@cloudless/api'
import type { Packing, ScoreWeights, SpreadTopology } from '@cloudless/scheduler'

export interface SchedulerSettings {
  readonly weights: ScoreWeights
  /** Of workloads that do not say. */
  readonly packing: Packing
  /** Of workloads that do not say; empty: they are not kept apart. */
  readonly spreadTopology: SpreadTopology
  /** How many times what a node has may be promised; 1: never more than it has. */
  readonly cpuOvercommit: number
  readonly memoryOvercommit: number
  /** Only replicas with a priority above this may have others stopped. */
  readonly preemptionPriorityAbove: number
}

/** `stored` is of the cluster's record; undefined when nobody has changed anything. */
export function settingsInForce(
  file: SchedulerSettings,
  stored: SchedulerConfiguration | undefined,
): SchedulerSettings {
  if (stored === undefined) return file
  const { weights } = stored
  return {
    weights: weights === undefined ? file.weights : plainWeights(weights),
    packing: (stored.packing as Packing | undefined) ?? file.packing,
    spreadTopology:
      stored.spreadTopology === undefined
        ? file.spreadTopology
        : spreadTopologyOf(stored.spreadTopology),
    cpuOvercommit: stored.cpuOvercommit ?? file.cpuOvercommit,
    memoryOvercommit: stored.memoryOvercommit ?? file.memoryOvercommit,
    preemptionPriorityAbove: stored.preemptionPriorityAbove ?? file.preemptionPriorityAbove,
  }
}

/** "none" of settings, manifests and requests is the scheduler's empty word. */
export function spreadTopologyOf(word: string): SpreadTopology {
  return word === 'none' ? '' : (word as SpreadTopology)
}

/** All members set, as it is served; `modRevision` is the cluster record's. */
export function servedConfiguration(
  file: SchedulerSettings,
  stored: SchedulerConfiguration | undefined,
  modRevision: number,
): SchedulerConfiguration {
  const { weights, spreadTopology, ...rest } = settingsInForce(file, stored)
  return create(SchedulerConfigurationSchema, {
    ...rest,
    weights: create(ScoreWeightsSchema, weights),
    spreadTopology: spreadTopology || 'none',
    resourceVersion: BigInt(modRevision),
    changed: stored === undefined ? [] : members.filter((name) => stored[name] !== undefined),
  })
}

/** What is to be stored after a change. */
export function changedConfiguration(
  stored: SchedulerConfiguration | undefined,
  change: SchedulerConfiguration | undefined,
  reset: boolean,
): SchedulerConfiguration {
  const base = reset ? undefined : stored
  const result = create(SchedulerConfigurationSchema)
  for (const name of members) {
    const value = change?.[name] ?? base?.[name]
    if (value !== undefined) Object.assign(result, { [name]: value })
  }
  return result
}

const members = [
  'weights',
  'packing',
  'spreadTopology',
  'cpuOvercommit',
  'memoryOvercommit',
  'preemptionPriorityAbove',
] as const

function plainWeights(weights: ScoreWeights): ScoreWeights {
  const { locality, reliability, cost, utilization, networkPenalty } = weights
  return { locality, reliability, cost, utilization, networkPenalty }
}
