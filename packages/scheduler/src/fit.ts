/**
 * Which of the nodes that are about as good to take: the GPUs left over decide, then the rest that is left, then the
 * name. A total order, the same whatever happened before: the amounts are whole numbers and their sum depends on nothing else.
 */
import type { ReplicaKind } from './model.ts'
import type { ClusterTable } from './table/cluster-table.ts'

const mebibyte = 2 ** 20
const gibibyte = 2 ** 30

export class Fit {
  readonly #table: ClusterTable
  readonly #kind: ReplicaKind

  constructor(table: ClusterTable, kind: ReplicaKind) {
    this.#table = table
    this.#kind = kind
  }

  /** Whether the one row is to be taken rather than the other. `names` are the table's ranks. */
  isBetter(row: number, other: number, names: Int32Array): boolean {
    const gpus = this.#strandedGpus(row) - this.#strandedGpus(other)
    if (gpus !== 0) return gpus < 0
    const misfit = this.#misfit(row) - this.#misfit(other)
    if (misfit !== 0) return misfit < 0
    return names[row]! < names[other]!
  }

  /** GPUs that would be left over beside it, or that it would keep from those who need them. */
  #strandedGpus(row: number): number {
    const { allocatable, reserved } = this.#table.resources
    const gpus = allocatable.gpuCount[row]!
    return gpus === 0 ? 0 : gpus - reserved.gpuCount[row]! - this.#kind.requests.gpuCount
  }

  /** What would be left of the node, added up only for comparing; the least is taken. */
  #misfit(row: number): number {
    const { allocatable, reserved } = this.#table.resources
    const left =
      allocatable.cpuMillis[row]! -
      reserved.cpuMillis[row]! +
      (allocatable.memoryBytes[row]! - reserved.memoryBytes[row]!) / mebibyte +
      (allocatable.storageBytes[row]! - reserved.storageBytes[row]!) / gibibyte
    return this.#kind.packing === 'spread' ? -left : left
  }
}
