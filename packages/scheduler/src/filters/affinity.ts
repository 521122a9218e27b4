/** The node is where a required affinity wants the replica, and not where a required anti-affinity forbids it. */
import { isAmong } from '../affinity.ts'
import type { Filter } from './filter.ts'

export const affinityFilter: Filter = {
  name: 'affinity',

  reject(_replica, node, { wanted, shunned }) {
    for (const term of wanted) {
      if (!term.affinity.required || term.isFirstOfItsKind || isAmong(term, node)) continue
      return `${term.affinity.subject} affinity not met`
    }
    for (const term of shunned) {
      if (term.affinity.required && isAmong(term, node)) {
        return `${term.affinity.subject} anti-affinity`
      }
    }
    return undefined
  },
}
