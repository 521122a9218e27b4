/** The node has a GPU of one of the models, where any are named. */
import type { Filter } from './filter.ts'

export const gpuModelFilter: Filter = {
  name: 'gpu-model',

  reject({ gpuModels }, node) {
    if (gpuModels.length === 0) return undefined
    if (gpuModels.some((model) => node.gpuModels.includes(model))) return undefined
    return 'no GPU of a wanted model'
  },
}
