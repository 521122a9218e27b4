/** Rules for what an operator may set of the scheduler while the cluster runs. */
import type { SchedulerConfiguration } from '../gen/cloudless/v1/coordinator_pb.ts'
import { packings, spreadTopologies, validateScoreWeights } from './placement.ts'
import { ProblemList, type FieldProblem } from './problem.ts'

const overcommitMax = 10
const priorityMax = 1_000_000_000

/** Every problem; members that are not set have none. */
export function validateSchedulerConfiguration(
  configuration: SchedulerConfiguration,
): readonly FieldProblem[] {
  const problems = new ProblemList()
  const { weights, packing, spreadTopology, preemptionPriorityAbove } = configuration
  if (weights !== undefined) validateScoreWeights(weights, problems.at('weights'))
  if (packing !== undefined) problems.at('packing').oneOf(packing, packings)
  if (spreadTopology !== undefined) {
    problems.at('spreadTopology').oneOf(spreadTopology, spreadTopologies)
  }
  for (const name of ['cpuOvercommit', 'memoryOvercommit'] as const) {
    const ratio = configuration[name] ?? 1
    if (ratio >= 1 && ratio <= overcommitMax) continue
    problems.at(name).add(`must be from 1 to ${overcommitMax}, not ${ratio}`)
  }
  problems
    .at('preemptionPriorityAbove')
    .integer(preemptionPriorityAbove ?? 0, { min: -priorityMax, max: priorityMax })
  return problems.problems
}
