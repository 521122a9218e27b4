/**
 * Where records are found otherwise than by their ids: replicas and revisions by workload, replicas by node, workloads by
 * owner, nodes by name and by subnet.
 */
import type { RecordByKind, RecordKind } from './records.ts'
import { GroupedIndex } from './grouped-index.ts'

type Replica = RecordByKind['replica'] | undefined
type Revision = RecordByKind['revision'] | undefined
type Node = RecordByKind['node'] | undefined
type Workload = RecordByKind['workload'] | undefined

export class RecordIndexes {
  readonly #replicasByWorkload = new GroupedIndex()
  readonly #replicasByNode = new GroupedIndex()
  readonly #revisionsByWorkload = new GroupedIndex()
  readonly #workloadsByOwner = new GroupedIndex()
  readonly #nodeIdByName = new Map<string, string>()
  readonly #nodeIdBySubnet = new Map<string, string>()

  replicasOfWorkload(workloadId: string): ReadonlySet<string> {
    return this.#replicasByWorkload.of(workloadId)
  }

  replicasOnNode(nodeId: string): ReadonlySet<string> {
    return this.#replicasByNode.of(nodeId)
  }

  revisionsOfWorkload(workloadId: string): ReadonlySet<string> {
    return this.#revisionsByWorkload.of(workloadId)
  }

  workloadsOwnedBy(workloadId: string): ReadonlySet<string> {
    return this.#workloadsByOwner.of(workloadId)
  }

  nodeIdOf(name: string): string | undefined {
    return this.#nodeIdByName.get(name)
  }

  /** The member whose containers have the addresses of this subnet, such as "10.244.3.0/24". */
  nodeIdOfSubnet(subnet: string): string | undefined {
    return this.#nodeIdBySubnet.get(subnet)
  }

  /** The record with this id became `after`, or is gone. */
  move(
    kind: RecordKind,
    id: string,
    before: RecordByKind[RecordKind] | undefined,
    after: RecordByKind[RecordKind] | undefined,
  ): void {
    if (kind === 'replica') this.#moveReplica(id, before as Replica, after as Replica)
    if (kind === 'revision') {
      const [old, now] = [before as Revision, after as Revision]
      this.#revisionsByWorkload.move(id, old?.workloadId, now?.workloadId)
    }
    if (kind === 'workload') this.#moveWorkload(id, before as Workload, after as Workload)
    if (kind === 'node') this.#moveNode(id, before as Node, after as Node)
  }

  #moveReplica(id: string, before: Replica, after: Replica): void {
    const [old, now] = [before?.status, after?.status]
    this.#replicasByWorkload.move(id, old?.workloadId, now?.workloadId)
    this.#replicasByNode.move(id, old?.nodeId || undefined, now?.nodeId || undefined)
  }

  #moveWorkload(id: string, before: Workload, after: Workload): void {
    const [old, now] = [before?.workload?.ownerId, after?.workload?.ownerId]
    this.#workloadsByOwner.move(id, old || undefined, now || undefined)
  }

  #moveNode(id: string, before: Node, after: Node): void {
    const [old, now] = [before?.node, after?.node]
    move(this.#nodeIdByName, id, old?.name, now?.name)
    move(this.#nodeIdBySubnet, id, old?.podCidr, now?.podCidr)
  }
}

/** A key that another record has taken meanwhile stays with that one. */
function move(
  idByKey: Map<string, string>,
  id: string,
  before: string | undefined,
  after: string | undefined,
): void {
  if (before !== undefined && before !== after && idByKey.get(before) === id) idByKey.delete(before)
  if (after !== undefined) idByKey.set(after, id)
}
