/** What labels and taints of a node may be. Undefined when they are fine. */
import type { Taint } from '@cloudless/api'

const keyShape =
  /^([a-z0-9A-Z]([-a-z0-9A-Z_.]{0,251}[a-z0-9A-Z])?\/)?[a-z0-9A-Z]([-a-z0-9A-Z_.]{0,61}[a-z0-9A-Z])?$/
const valueShape = /^([a-z0-9A-Z]([-a-z0-9A-Z_.]{0,61}[a-z0-9A-Z])?)?$/
const effects = ['NoSchedule', 'PreferNoSchedule', 'NoExecute']

export function problemsOfLabels(labels: Readonly<Record<string, string>>): string | undefined {
  for (const [key, value] of Object.entries(labels)) {
    if (!keyShape.test(key))
      return `set_labels: "${key}" is not a label's key (letters, digits, -_. and one /)`
    if (!valueShape.test(value)) {
      return `set_labels["${key}"]: "${value}" is not a label's value (at most 63 letters, digits, -_.)`
    }
  }
  return undefined
}

export function problemsOfTaints(taints: readonly Taint[]): string | undefined {
  for (const { key, effect } of taints) {
    if (!keyShape.test(key)) return `set_taints: "${key}" is not a taint's key`
    if (!effects.includes(effect)) {
      return `set_taints["${key}"].effect: "${effect}" is none of ${effects.join(', ')}`
    }
  }
  return undefined
}
