/** The node's disk is at least as fast as asked for. */
import { iopsFacet } from '../table/facet.ts'
import type { FactFilter } from './filter.ts'

const rankByClass: ReadonlyMap<string, number> = new Map([
  ['low', 1],
  ['medium', 2],
  ['high', 3],
  ['premium', 4],
])

export const iopsClassFilter: FactFilter = {
  name: 'iops-class',

  checks(kind) {
    const wanted = rankByClass.get(kind.iopsClass) ?? 0
    if (wanted === 0) return []
    return [
      {
        facet: iopsFacet,
        reject: ({ iopsClass }) =>
          (rankByClass.get(iopsClass) ?? 0) < wanted ? 'disk too slow' : undefined,
      },
    ]
  },
}
