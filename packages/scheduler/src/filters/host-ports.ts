/** A port of the node serves one replica. */
import type { Filter } from './filter.ts'

export const hostPortsFilter: Filter = {
  name: 'host-ports',

  reject({ hostPorts }, node) {
    for (const port of hostPorts) {
      if (node.hostPorts.has(port)) return `host port ${port} taken`
    }
    return undefined
  },
}
