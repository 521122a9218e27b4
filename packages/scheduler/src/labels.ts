/** Labels of nodes: their own, those every node has by nature, and the places they make. */
import type { Labels, NodeView, SelectorRequirement } from './model.ts'

/** A node's own label, or one of those derived from what it is. */
export function labelOf(node: NodeView, key: string): string | undefined {
  if (Object.hasOwn(node.labels, key)) return node.labels[key]
  switch (key) {
    case 'cloudless.io/node':
      return node.name
    case 'cloudless.io/region':
      return node.region
    case 'cloudless.io/zone':
      return node.zone
    case 'cloudless.io/arch':
      return node.architecture
    case 'cloudless.io/os':
      return node.os
    default:
      return undefined
  }
}

/** The place a node is in: nodes with the same value are one. Undefined when it has no such label. */
export function placeOf(node: NodeView, topologyKey: string): string | undefined {
  switch (topologyKey) {
    case '':
    case 'node':
      return node.id
    case 'zone':
      return node.zone
    case 'region':
      return node.region
    default:
      return labelOf(node, topologyKey)
  }
}

export function hasLabels(labels: Labels, wanted: Labels): boolean {
  for (const key in wanted) if (labels[key] !== wanted[key]) return false
  return true
}

export function nodeHasLabels(node: NodeView, wanted: Labels): boolean {
  for (const key in wanted) if (labelOf(node, key) !== wanted[key]) return false
  return true
}

/** The same for the same labels, whatever their order. */
export function keyOfLabels(labels: Labels): string {
  return JSON.stringify(Object.entries(labels).sort(([a], [b]) => (a < b ? -1 : 1)))
}

/** A node without the label meets NotIn and DoesNotExist, and nothing else. */
export function meetsRequirement(node: NodeView, requirement: SelectorRequirement): boolean {
  const { key, operator, values } = requirement
  const label = labelOf(node, key)
  switch (operator) {
    case 'Exists':
      return label !== undefined
    case 'DoesNotExist':
      return label === undefined
    case 'In':
      return label !== undefined && values.includes(label)
    case 'NotIn':
      return label === undefined || !values.includes(label)
    case 'Gt':
      return label !== undefined && label !== '' && Number(label) > Number(values[0])
    case 'Lt':
      return label !== undefined && label !== '' && Number(label) < Number(values[0])
  }
}
