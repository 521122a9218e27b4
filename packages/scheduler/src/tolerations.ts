/** Which taints a replica puts up with. */
import type { Taint, Toleration } from './model.ts'

export function tolerates(tolerations: readonly Toleration[], taint: Taint): boolean {
  for (const { key, operator, value, effect } of tolerations) {
    if (effect !== undefined && effect !== taint.effect) continue
    if (
      operator === 'Exists'
        ? key === '' || key === taint.key
        : key === taint.key && value === taint.value
    ) {
      return true
    }
  }
  return false
}
