/** The node has a GPU of one of the models, where any are named. */
import { gpuFacet } from '../table/facet.ts'
import type { FactFilter } from './filter.ts'

export const gpuModelFilter: FactFilter = {
  name: 'gpu-model',

  checks({ gpuModels }) {
    if (gpuModels.length === 0) return []
    return [
      {
        facet: gpuFacet,
        reject: (node) =>
          gpuModels.some((model) => node.gpuModels.includes(model))
            ? undefined
            : 'no GPU of a wanted model',
      },
    ]
  },
}
