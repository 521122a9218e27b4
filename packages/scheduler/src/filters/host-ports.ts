/** A port of the node serves one replica. */
import type { RoomFilter } from './filter.ts'

export const hostPortsFilter: RoomFilter = {
  name: 'host-ports',

  check({ hostPorts }, table) {
    return hostPorts.map((port) => {
      const reason = `host port ${port} taken`
      return (row) => (table.isPortTaken(row, port) ? reason : undefined)
    })
  },
}
