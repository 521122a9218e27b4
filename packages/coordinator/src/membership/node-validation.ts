/** What labels and taints of a node may be. Undefined when they are fine. */
import type { Taint } from '@cloudless/api'

const keyShape =
  /^([a-z0-9A-Z]([-a-z0-9A-Z_.]{0,251}[a-z0-9A-Z])?\/)?[a-z0-9A-Z]([-a-z0-9A-Z_.]{0,61}[a-z0-9A-Z])?$/
const valueShape = /^([a-z0-9A-Z]([-a-z0-9A-Z_.]{0,61}[a-z0-9A-Z])?)?$/
const effects = ['NoSchedule', 'PreferNoSchedule', 'NoExecute']

/** More than anybody needs, and few enough for a node's record. */
const entriesMax = 256

/** `field` names the labels in the request: "set_labels". */
export function problemsOfLabels(
  field: string,
  labels: Readonly<Record<string, string>>,
): string | undefined {
  const entries = Object.entries(labels)
  if (entries.length > entriesMax) return `${field}: must have at most ${entriesMax} entries`
  for (const [key, value] of entries) {
    if (!keyShape.test(key))
      return `${field}: "${key}" is not a label's key (letters, digits, -_. and one /)`
    if (!valueShape.test(value)) {
      return `${field}["${key}"]: "${value}" is not a label's value (at most 63 letters, digits, -_.)`
    }
  }
  return undefined
}

/** `field` names the taints in the request: "set_taints". */
export function problemsOfTaints(field: string, taints: readonly Taint[]): string | undefined {
  if (taints.length > entriesMax) return `${field}: must have at most ${entriesMax} entries`
  for (const { key, value, effect } of taints) {
    if (!keyShape.test(key)) return `${field}: "${key}" is not a taint's key`
    if (!valueShape.test(value)) {
      return `${field}["${key}"]: "${value}" is not a taint's value (at most 63 letters, digits, -_.)`
    }
    if (!effects.includes(effect)) {
      return `${field}["${key}"].effect: "${effect}" is none of ${effects.join(', ')}`
    }
  }
  return undefined
}
