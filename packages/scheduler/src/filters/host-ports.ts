/** A port of the node serves one replica. */
import type { RoomFilter } from './filter.ts'

export const hostPortsFilter: RoomFilter = {
  name: 'host-ports',

  check({ hostPorts }, table) {
    if (hostPorts.length === 0) return undefined
    return (row) => {
      for (const port of hostPorts) {
        if (table.isPortTaken(row, port)) return `host port ${port} taken`
      }
      return undefined
    }
  },
}
