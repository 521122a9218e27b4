/** A node whose disk runs full takes nothing that asks for disk, whatever its reservations say. */
import type { Filter } from './filter.ts'

export const storageFilter: Filter = {
  name: 'storage',

  reject({ requests }, { diskPressure }) {
    return diskPressure && requests.storageBytes > 0 ? 'disk nearly full' : undefined
  },
}
