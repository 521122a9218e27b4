/** Taints and tolerations in the scheduler's words. */
import type { Taint as TaintMessage, Toleration as TolerationMessage } from '@cloudless/api'
import type { Taint, TaintEffect, Toleration } from '@cloudless/scheduler'

/** Of nodes that are being drained. */
export const drainTaintKey = 'cloudless.io/drain'

export const drainToleration: Toleration = {
  key: drainTaintKey,
  operator: 'Exists',
  value: '',
  effect: 'NoSchedule',
}

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
