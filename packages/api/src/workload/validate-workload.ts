/**
 * What makes a workload acceptable, whoever sent it: the one set of rules, used by the coordinator on every write and by the
 * manifest reader, which adds line numbers.
 *
 * Rules say only what can be known from the workload itself. Policy, quotas and whether anything could run it come later.
 */
import { toBinary } from '@bufbuild/protobuf'
import { problemWithLabel, problemWithSubdomain } from '@cloudless/base'
import {
  WorkloadSpecSchema,
  type Workload,
  type WorkloadSpec,
} from '../gen/cloudless/v1/workload_pb.ts'
import { parseImageReference } from '../image-reference.ts'
import { fewestReplicasOf, validateAutoscaling } from './autoscaling.ts'
import { validateDisconnectPolicy, validateRebalancePolicy } from './disconnect-policy.ts'
import { validateKind } from './kinds.ts'
import { validateAnnotations, validateLabels } from './labels.ts'
import { problemWithVariable, validateMounts, validatePorts } from './mounts.ts'
import { validatePlacement, validateRestartPolicy } from './placement.ts'
import { validateProbe } from './probes.ts'
import { ProblemList, type FieldProblem } from './problem.ts'
import { validateResources } from './resources.ts'
import { validateRollout } from './rollout.ts'
import { validateSecurity } from './security.ts'

const replicasMax = 100_000
const elementsMax = 1_000
const priorityMax = 1_000_000_000
const terminationGraceMsMax = 86_400_000
const shutdownDelayMsMax = 600_000
/** A stored value holds at most 1 MiB, and a replica's record has the spec and its status. */
const specBytesMax = 524_288

/** Every problem, in the order of the fields, at most 100; none when the workload may be stored. */
export function validateWorkload(workload: Workload): readonly FieldProblem[] {
  const problems = new ProblemList()
  problems.at('name').addIf(problemWithSubdomain(workload.name))
  if (workload.namespace !== '') {
    problems.at('namespace').addIf(problemWithLabel(workload.namespace))
  }
  validateLabels(workload.labels, problems.at('labels'))
  validateAnnotations(workload.annotations, problems.at('annotations'))
  if (workload.spec === undefined) problems.at('spec').add('must be given')
  else validateSpec(workload.spec, problems.at('spec'))
  return problems.problems
}

/** For a spec that has no workload around it, as of RunContainer. Paths start at the spec. */
export function validateWorkloadSpec(spec: WorkloadSpec): readonly FieldProblem[] {
  const problems = new ProblemList()
  validateSpec(spec, problems)
  return problems.problems
}

function validateSpec(spec: WorkloadSpec, problems: ProblemList): void {
  const image = parseImageReference(spec.image)
  if (image.kind === 'invalid') problems.at('image').add(image.problem)
  validateKind(spec, problems)
  validateProcess(spec, problems)
  if (spec.resources !== undefined) validateResources(spec.resources, problems.at('resources'))
  problems.at('replicas').integer(spec.replicas, { min: 0, max: replicasMax })
  if (spec.placement !== undefined) validatePlacement(spec.placement, problems.at('placement'))
  if (spec.restartPolicy !== undefined) {
    validateRestartPolicy(spec.restartPolicy, problems.at('restartPolicy'))
  }
  if (spec.rollout !== undefined) {
    validateRollout(spec.rollout, fewestReplicasOf(spec), problems.at('rollout'))
  }
  if (spec.onDisconnect !== undefined) {
    validateDisconnectPolicy(spec.onDisconnect, problems.at('onDisconnect'))
  }
  if (spec.rebalance !== undefined) {
    validateRebalancePolicy(spec.rebalance, problems.at('rebalance'))
  }
  if (withinLength(spec, problems)) {
    validateMounts(spec, problems)
    validatePorts(spec.ports, problems.at('ports'))
  }
  for (const name of ['startupProbe', 'livenessProbe', 'readinessProbe'] as const) {
    const probe = spec[name]
    if (probe !== undefined) validateProbe(probe, problems.at(name))
  }
  if (spec.securityContext !== undefined) {
    validateSecurity(spec.securityContext, problems.at('securityContext'))
  }
  validateAutoscaling(spec, problems)
  problems.at('imagePullPolicy').integer(spec.imagePullPolicy, { min: 0, max: 3 })
  problems.at('priority').integer(spec.priority, { min: -priorityMax, max: priorityMax })
  validateLength(spec, problems)
}

function validateProcess(spec: WorkloadSpec, problems: ProblemList): void {
  for (const name of ['command', 'args'] as const) {
    for (const [index, argument] of spec[name].entries()) {
      if (argument.includes('\0')) problems.at(name, index).add('must not contain a NUL character')
    }
  }
  if (spec.command[0] === '') problems.at('command', 0).add('must not be empty')
  for (const [name, value] of Object.entries(spec.env)) {
    const at = problems.at('env', name)
    at.addIf(problemWithVariable(name))
    if (value.includes('\0')) at.add('must not contain a NUL character')
  }
  if (spec.imagePullSecrets.includes('')) {
    problems.at('imagePullSecrets').add('must not contain empty names')
  }
  if (spec.workingDir !== '') problems.at('workingDir').absolutePath(spec.workingDir)
  problems
    .at('terminationGraceMs')
    .integer(spec.terminationGraceMs ?? 0n, { min: 0, max: terminationGraceMsMax })
  problems
    .at('shutdownDelayMs')
    .integer(spec.shutdownDelayMs ?? 0n, { min: 0, max: shutdownDelayMsMax })
}

const lists = ['command', 'args', 'volumes', 'ports', 'secretEnv', 'secretVolumes'] as const

function withinLength(spec: WorkloadSpec, problems: ProblemList): boolean {
  const tooLong = lists.filter((name) => spec[name].length > elementsMax)
  for (const name of tooLong) problems.at(name).add(`must have at most ${elementsMax} elements`)
  return tooLong.length === 0
}

function validateLength(spec: WorkloadSpec, problems: ProblemList): void {
  if (problems.problems.length > 0) return
  const bytes = toBinary(WorkloadSpecSchema, spec).length
  if (bytes > specBytesMax) problems.add(`must have at most ${specBytesMax} bytes, not ${bytes}`)
}
