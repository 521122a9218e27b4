/** The node's disk is at least as fast as asked for. */
import type { Filter } from './filter.ts'

const rankByClass: Readonly<Record<string, number>> = { low: 1, medium: 2, high: 3, premium: 4 }

export const iopsClassFilter: Filter = {
  name: 'iops-class',

  reject({ iopsClass }, node) {
    const wanted = rankByClass[iopsClass] ?? 0
    return (rankByClass[node.iopsClass] ?? 0) < wanted ? 'disk too slow' : undefined
  },
}
