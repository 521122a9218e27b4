/** Taints and tolerations in the scheduler's words. */
import type { Taint as TaintMessage, Toleration as TolerationMessage } from '@cloudless/api'
import type { Taint, TaintEffect, Toleration } from '@cloudless/scheduler'

export function taintOf({ key, value, effect }: TaintMessage): Taint {
  return { key, value, effect: effect as TaintEffect }
}

export function tolerationOf({ key, operator, value, effect }: TolerationMessage): Toleration {
  return {
    key,
    operator: operator === 'Exists' ? 'Exists' : 'Equal',
    value,
    effect: effect === '' ? undefined : (effect as TaintEffect),
  }
}
