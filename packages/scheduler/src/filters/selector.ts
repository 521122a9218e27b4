/** The node has every label asked for, and meets every condition on labels. */
import { labelOf, meetsRequirement } from '../labels.ts'
import { labelFacet } from '../table/facet.ts'
import type { FactCheck, FactFilter } from './filter.ts'

export const selectorFilter: FactFilter = {
  name: 'selector',

  checks({ nodeSelector, nodeRequirements }) {
    const selected = Object.entries(nodeSelector).map(([key, value]): FactCheck => ({
      facet: labelFacet(key),
      reject: (node) =>
        labelOf(node, key) === value ? undefined : 'labels do not match the node selector',
    }))
    const required = nodeRequirements.map((requirement): FactCheck => ({
      facet: labelFacet(requirement.key),
      reject: (node) =>
        meetsRequirement(node, requirement)
          ? undefined
          : `label ${requirement.key} does not meet ${requirement.operator}`,
    }))
    return [...selected, ...required]
  },
}
