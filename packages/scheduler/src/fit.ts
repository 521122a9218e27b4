/**
 * Which of the nodes that are about as good to take: for what asks for GPUs these decide, then what is left of the rest,
 * then the name. A total order, the same whatever happened before: the amounts are whole numbers and their sum depends on
 * nothing else.
 *
 * Of nodes with GPUs the first is the one
 *   1. whose GPU models most nodes have: who names a rare model has nowhere else to go;
 *   2. with the fewest GPUs left that another like it could not use, for want of the CPU or memory beside them;
 *   3. with the fewest GPUs left, so that those who ask for many find them together.
 * What asks for none stays off free GPUs.
 */
import type { ReplicaKind } from './model.ts'
import type { ClusterTable } from './table/cluster-table.ts'
import { gpuFacet, type FacetColumn } from './table/facet.ts'

const mebibyte = 2 ** 20
const gibibyte = 2 ** 30

export class Fit {
  readonly #table: ClusterTable
  readonly #kind: ReplicaKind
  readonly #models: FacetColumn

  constructor(table: ClusterTable, kind: ReplicaKind) {
    this.#table = table
    this.#kind = kind
    this.#models = table.column(gpuFacet)
  }

  /** Whether the one row is to be taken rather than the other. `names` are the table's ranks. */
  isBetter(row: number, other: number, names: Int32Array): boolean {
    if (this.#kind.requests.gpuCount > 0) {
      const alike = this.#models.rowsAlike(other) - this.#models.rowsAlike(row)
      if (alike !== 0) return alike < 0
      const unusable = this.#unusableGpus(row) - this.#unusableGpus(other)
      if (unusable !== 0) return unusable < 0
    }
    const gpus = this.#gpusLeft(row) - this.#gpusLeft(other)
    if (gpus !== 0) return gpus < 0
    const misfit = this.#misfit(row) - this.#misfit(other)
    if (misfit !== 0) return misfit < 0
    return names[row]! < names[other]!
  }

  /** GPUs left that would not serve others of the kind. */
  #unusableGpus(row: number): number {
    const { cpuMillis, memoryBytes, gpuCount } = this.#kind.requests
    const { allocatable, reserved } = this.#table.resources
    const gpus = this.#gpusLeft(row)
    let others = Math.floor(gpus / gpuCount)
    if (cpuMillis > 0) {
      const left = allocatable.cpuMillis[row]! - reserved.cpuMillis[row]! - cpuMillis
      others = Math.min(others, Math.floor(left / cpuMillis))
    }
    if (memoryBytes > 0) {
      const left = allocatable.memoryBytes[row]! - reserved.memoryBytes[row]! - memoryBytes
      others = Math.min(others, Math.floor(left / memoryBytes))
    }
    return gpus - others * gpuCount
  }

  /** Left over beside it. */
  #gpusLeft(row: number): number {
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
