/** What the nodes have and what of it is reserved, a column a resource. */
import type { Resources } from '../model.ts'

export const resourceNames = [
  'cpuMillis',
  'memoryBytes',
  'storageBytes',
  'bandwidthBps',
  'gpuCount',
] as const satisfies readonly (keyof Resources)[]

type Columns = Record<keyof Resources, Float64Array>

export class ResourceColumns {
  readonly allocatable: Columns
  readonly reserved: Columns

  constructor(rows: number) {
    this.allocatable = columnsOf(rows)
    this.reserved = columnsOf(rows)
  }

  setAllocatable(row: number, amount: Resources): void {
    for (const name of resourceNames) this.allocatable[name][row] = amount[name]
  }

  /** `times` is 1 or -1. Exact: the amounts are whole numbers. */
  reserve(row: number, amount: Resources, times: number): void {
    for (const name of resourceNames) this.reserved[name][row]! += times * amount[name]
  }

  reservedOn(row: number): Resources {
    const { cpuMillis, memoryBytes, storageBytes, bandwidthBps, gpuCount } = this.reserved
    return {
      cpuMillis: cpuMillis[row]!,
      memoryBytes: memoryBytes[row]!,
      storageBytes: storageBytes[row]!,
      bandwidthBps: bandwidthBps[row]!,
      gpuCount: gpuCount[row]!,
    }
  }

  clear(row: number): void {
    for (const name of resourceNames) {
      this.allocatable[name][row] = 0
      this.reserved[name][row] = 0
    }
  }

  grow(rows: number): void {
    for (const columns of [this.allocatable, this.reserved]) {
      for (const name of resourceNames) columns[name] = grown(columns[name], rows)
    }
  }
}

export function grown(column: Float64Array, rows: number): Float64Array {
  const wider = new Float64Array(rows)
  wider.set(column)
  return wider
}

function columnsOf(rows: number): Columns {
  return {
    cpuMillis: new Float64Array(rows),
    memoryBytes: new Float64Array(rows),
    storageBytes: new Float64Array(rows),
    bandwidthBps: new Float64Array(rows),
    gpuCount: new Float64Array(rows),
  }
}
