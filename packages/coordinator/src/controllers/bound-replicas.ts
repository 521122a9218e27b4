/**
 * Replicas that wait for room on the one node they belong to. They wait by node, and not by kind as others do: what frees
 * room on a node helps those that are bound to it, and none of the thousands that are bound elsewhere.
 */
import { GroupedIndex } from '../state/grouped-index.ts'

export class BoundReplicas {
  readonly #byNode = new GroupedIndex()
  readonly #nodeById = new Map<string, string>()

  get size(): number {
    return this.#nodeById.size
  }

  add(id: string, nodeId: string): void {
    this.#move(id, nodeId)
  }

  /** It is placed, tried again, or not wanted any more. */
  remove(id: string): void {
    this.#move(id, undefined)
  }

  /** Those that wait for one of the nodes. */
  waitingFor(nodeIds: Iterable<string>): string[] {
    const ids: string[] = []
    for (const nodeId of nodeIds) ids.push(...this.#byNode.of(nodeId))
    return ids
  }

  ids(): IterableIterator<string> {
    return this.#nodeById.keys()
  }

  #move(id: string, nodeId: string | undefined): void {
    this.#byNode.move(id, this.#nodeById.get(id), nodeId)
    if (nodeId === undefined) this.#nodeById.delete(id)
    else this.#nodeById.set(id, nodeId)
  }
}
