/** The image is made for the node's processor, where it is known what the image is made for. */
import type { Filter } from './filter.ts'

export const architectureFilter: Filter = {
  name: 'architecture',

  reject({ architectures = [] }, { architecture }) {
    if (architectures.length === 0 || architectures.includes(architecture)) return undefined
    return `no image for ${architecture}`
  },
}
