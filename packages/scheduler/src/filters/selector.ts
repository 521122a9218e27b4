/** The node has every label asked for, and meets every condition on labels. */
import type { Filter } from './filter.ts'
import { meetsRequirement, nodeHasLabels } from '../labels.ts'

export const selectorFilter: Filter = {
  name: 'selector',

  reject({ nodeSelector, nodeRequirements }, node) {
    if (!nodeHasLabels(node, nodeSelector)) return 'labels do not match the node selector'
    for (const requirement of nodeRequirements) {
      if (!meetsRequirement(node, requirement)) {
        return `label ${requirement.key} does not meet ${requirement.operator}`
      }
    }
    return undefined
  },
}
