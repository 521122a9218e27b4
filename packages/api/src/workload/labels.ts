/** Rules for labels, annotations and what selects by them. */
import { problemWithSubdomain } from '@cloudless/base'
import type { SelectorRequirement } from '../gen/cloudless/v1/workload_pb.ts'
import type { ProblemList } from './problem.ts'

const labelsMax = 64
const annotationsLengthMax = 262_144
const allowed = 'letters, digits, "-", "_" or ".", starting and ending with a letter or digit'
const namePart = /^[A-Za-z0-9](?:[-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$/

/** Undefined when it may be a label's key: a name of at most 63 characters, after an optional "prefix/". */
export function problemWithLabelKey(key: string): string | undefined {
  const slash = key.indexOf('/')
  const prefixProblem = slash < 0 ? undefined : problemWithSubdomain(key.slice(0, slash))
  if (prefixProblem !== undefined) return `has a prefix before "/" that ${prefixProblem}`
  if (namePart.test(key.slice(slash + 1))) return undefined
  return `must be a key of 1 to 63 ${allowed}`
}

/** Undefined when it may be a label's value: empty, or as the name part of a key. */
export function problemWithLabelValue(value: string): string | undefined {
  if (value === '' || namePart.test(value)) return undefined
  return `must have at most 63 ${allowed}`
}

export function validateLabels(
  labels: Readonly<Record<string, string>>,
  problems: ProblemList,
): void {
  const entries = Object.entries(labels)
  if (entries.length > labelsMax) problems.add(`must have at most ${labelsMax} labels`)
  for (const [key, value] of entries.slice(0, labelsMax)) {
    problems.at(key).addIf(problemWithLabelKey(key) ?? problemWithLabelValue(value))
  }
}

export function validateAnnotations(
  annotations: Readonly<Record<string, string>>,
  problems: ProblemList,
): void {
  let length = 0
  for (const [key, value] of Object.entries(annotations)) {
    length += key.length + value.length
    problems.at(key).addIf(problemWithLabelKey(key))
  }
  if (length > annotationsLengthMax) {
    problems.add(`must have at most ${annotationsLengthMax} characters together, not ${length}`)
  }
}

export const selectorOperators = ['In', 'NotIn', 'Exists', 'DoesNotExist', 'Gt', 'Lt'] as const

export function validateRequirement(requirement: SelectorRequirement, problems: ProblemList): void {
  const { key, operator, values } = requirement
  problems.at('key').addIf(problemWithLabelKey(key))
  problems.at('operator').oneOf(operator, selectorOperators)
  const at = problems.at('values')
  switch (operator) {
    case 'In':
    case 'NotIn':
      if (values.length === 0) at.add(`must have at least one value for ${operator}`)
      for (const [index, value] of values.entries()) {
        at.at(index).addIf(problemWithLabelValue(value))
      }
      break
    case 'Exists':
    case 'DoesNotExist':
      if (values.length > 0) at.add(`must be empty for ${operator}`)
      break
    case 'Gt':
    case 'Lt':
      if (values.length !== 1 || !/^-?\d{1,15}$/.test(values[0]!)) {
        at.add(`must be one integer for ${operator}`)
      }
  }
}
