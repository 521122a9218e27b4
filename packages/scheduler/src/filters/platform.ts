/** The image is made for the node's system and processor, where it is known what the image is made for. */
import { platformFacet } from '../table/facet.ts'
import type { FactFilter } from './filter.ts'

export const platformFilter: FactFilter = {
  name: 'platform',

  checks({ platforms }) {
    if (platforms.length === 0) return []
    // "linux/arm/v7" is made for linux/arm.
    const known = new Set(platforms.map((platform) => platform.split('/', 2).join('/')))
    return [
      {
        facet: platformFacet,
        reject({ os, architecture }) {
          // A node that has not told what it is may try.
          if (os === '' || architecture === '' || known.has(`${os}/${architecture}`)) {
            return undefined
          }
          return `no image for ${os}/${architecture}`
        },
      },
    ]
  },
}
