/** What is wrong with this node, as the coordinator is told. Pure. */
import { create } from '@bufbuild/protobuf'
import { NodeConditionSchema, type NodeCondition, type ResourceCapacity } from '@cloudless/api'
import { formatDurationMs } from '@cloudless/base'
import { pressureConditions, type UsedResources } from '../resources/capacity.ts'

export interface NodeFindings {
  readonly capacity: ResourceCapacity
  /** Undefined before the first sample. */
  readonly used: UsedResources | undefined
  readonly runtimeReady: boolean
  /** This clock less the coordinator's. */
  readonly clockSkewMs: number
}

/** A clock further off than this is worth a condition; certificates are dated back by more. */
const skewMsMax = 10_000

export function conditionsOf(findings: NodeFindings): NodeCondition[] {
  const { capacity, used, runtimeReady, clockSkewMs } = findings
  const conditions = used === undefined ? [] : pressureConditions(capacity, used)
  const holds = (type: string, reason: string, message: string): void => {
    conditions.push(create(NodeConditionSchema, { type, status: 'True', reason, message }))
  }
  if (!runtimeReady) {
    holds('RuntimeUnavailable', 'NoAnswer', 'the container runtime does not answer')
  }
  if (Math.abs(clockSkewMs) > skewMsMax) {
    const side = clockSkewMs > 0 ? 'ahead of' : 'behind'
    const off = formatDurationMs(Math.abs(clockSkewMs))
    const message = `its clock is ${off} ${side} the coordinator's: set up NTP on it`
    holds('ClockSkew', 'ClockOff', message)
  }
  return conditions
}
