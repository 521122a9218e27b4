/** For property tests of the controllers' pure decisions: a cluster in memory that needs no time and no store. */
import assert from 'node:assert/strict'
import { create } from '@bufbuild/protobuf'
import {
  HelloSchema,
  ReplicaState,
  type Hello,
  type ReplicaRecord,
  type WorkloadRecord,
} from '@cloudless/api'
import { seededRandom } from '@cloudless/base'
import type { Write } from '@cloudless/metadata'
import { lostReplica } from '../controllers/lost-replica.ts'
import { planEvictions } from '../controllers/plan-evictions.ts'
import { isLost, planWorkload } from '../controllers/plan-workload.ts'
import { newReplica, newReplicaId, stopping, withStatus } from '../controllers/replica-records.ts'
import { settleReplicas } from '../controllers/settle-replicas.ts'
import type { Held } from '../state/cluster-state.ts'
import type { RecordWrite } from '../state/written-records.ts'
import { nodeRecord, workloadRecord, type WorkloadFacts } from './records.ts'

export const nodeIds = ['a', 'b', 'c', 'd']
/** Booted: it is to be started anew. */
type Container = 'booted' | 'running' | 'ready'

/** The whole control plane as its pure decisions, over four nodes that do as they are told when they hear it. */
export class PureCluster {
  nowMs = 1_000
  workload: WorkloadRecord
  readonly replicas = new Map<string, ReplicaRecord>()
  readonly #nodes = new Map(nodeIds.map((id) => [id, nodeRecord(id)]))
  readonly #random = seededRandom(1)
  /** What really runs, by node. */
  readonly containers = new Map(nodeIds.map((id) => [id, new Map<string, Container>()]))
  readonly online = new Set(nodeIds)
  readonly fenced = new Set<string>()

  constructor(spec: WorkloadFacts['spec']) {
    this.workload = workloadRecord({ spec: { ...spec } })
  }

  readonly state = {
    held: (kind: string, id: string): Held<never> | undefined => {
      const tables: Record<string, ReadonlyMap<string, unknown>> = {
        node: this.#nodes,
        replica: this.replicas,
        workload: new Map([[this.workload.workload!.id, this.workload]]),
      }
      const record = tables[kind]!.get(id)
      return record === undefined ? undefined : (held(id, record) as Held<never>)
    },
    replicasOnNode: (nodeId: string) => this.#held((r) => r.status!.nodeId === nodeId),
    replicasOfWorkload: () => this.#held(() => true),
  }

  #held(accepts: (replica: ReplicaRecord) => boolean): Held<ReplicaRecord>[] {
    return [...this.replicas].filter(([, r]) => accepts(r)).map(([id, r]) => held(id, r))
  }

  put(replica: ReplicaRecord): void {
    this.replicas.set(replica.status!.id, replica)
  }

  ready(): number {
    return [...this.replicas.values()].filter((r) => r.status!.ready && !r.stopping).length
  }

  /** One look of the workload's controller. */
  plan(): boolean {
    const plan = planWorkload(this.workload, [...this.replicas.values()], this.nowMs)
    for (const { replaces } of plan.create) {
      const id = newReplicaId('web', this.#random)
      this.put(newReplica(this.workload, { id, replaces, nowMs: this.nowMs }))
    }
    for (const { replica, reason } of plan.stop) this.put(stopping(replica, reason, undefined))
    for (const { status } of plan.forget) this.replicas.delete(status!.id)
    return plan.create.length + plan.stop.length + plan.forget.length > 0
  }

  place(choice: number): void {
    const online = [...this.online].filter((id) => !this.isDrained(id))
    const waiting = [...this.replicas.values()].find((r) => r.status!.nodeId === '')
    if (waiting === undefined || online.length === 0) return
    const nodeId = online[choice % online.length]!
    this.put(withStatus(waiting, { nodeId, state: ReplicaState.SCHEDULED }))
  }

  drain(nodeId: string): void {
    const facts = { drainStartedAtMs: 1n, drainGraceful: true }
    this.#nodes.set(nodeId, nodeRecord(nodeId, facts))
  }

  uncordon(nodeId: string): void {
    this.#nodes.set(nodeId, nodeRecord(nodeId))
  }

  isDrained(nodeId: string): boolean {
    return this.#nodes.get(nodeId)!.drainStartedAtMs > 0n
  }

  /** One look of the nodes' controller. */
  evict(nodeId: string): boolean {
    if (!this.online.has(nodeId)) return false
    const replicas = this.state.replicasOnNode(nodeId).map(({ record }) => record)
    const plan = planEvictions(this.#nodes.get(nodeId)!, replicas, this.nowMs)
    for (const { replica, kind, reason } of plan) {
      if (kind === 'stop') this.put(stopping(replica, reason, undefined))
      else {
        const replaceReason = kind === 'replace' ? reason : ''
        this.put({ ...replica, replaceWanted: kind === 'replace', replaceReason })
      }
    }
    return plan.length > 0
  }

  /** The agent does what it is told, as far as it is heard. */
  obey(nodeId: string): void {
    const containers = this.containers.get(nodeId)!
    if (!this.online.has(nodeId)) return
    for (const id of [...containers.keys()]) {
      const record = this.replicas.get(id)
      if (record && record.status!.nodeId === nodeId && !record.stopping && !isLost(record))
        continue
      containers.delete(id)
      if (record?.stopping) this.replicas.delete(id)
    }
    for (const { id, record } of this.state.replicasOnNode(nodeId)) {
      if (containers.has(id) || isLost(record)) continue
      if (record.stopping) this.replicas.delete(id)
      else containers.set(id, 'running')
    }
  }

  /** What runs becomes ready, and says so where it is heard. */
  settleDown(nodeId: string): void {
    for (const id of this.containers.get(nodeId)!.keys()) {
      this.containers.get(nodeId)!.set(id, 'ready')
      const record = this.replicas.get(id)
      if (!this.online.has(nodeId) || !record || record.stopping || isLost(record)) continue
      this.put(withStatus(record, { state: ReplicaState.RUNNING, ready: true }))
    }
  }

  lose(nodeId: string): void {
    if (!this.online.delete(nodeId)) return
    for (const { id, record } of this.state.replicasOnNode(nodeId)) {
      if (record.stopping) this.replicas.delete(id)
      else this.put(lostReplica(record, nodeId, this.nowMs))
    }
  }

  /** Its session begins, maybe for the second time; a crash of ours between the two changes nothing. */
  hello(nodeId: string): void {
    const servingBefore = this.#serving()
    const settled = settleReplicas(this, nodeId, this.#helloOf(nodeId))
    for (const write of settled.writes) this.#write(write)
    for (const { status } of settled.fenced) this.fenced.add(status!.id)
    this.online.add(nodeId)
    const serving = this.#serving()
    const givenUp = servingBefore.filter((r) => !isOn(r, nodeId) && !serving.some(isSame(r)))
    const back = settled.reclaimed.filter((r) => r.status!.ready && !r.replaceWanted)
    assert.ok(givenUp.length <= back.length, 'what serves is only given up for what serves')
  }

  /** Ready, and to stay. */
  #serving(): ReplicaRecord[] {
    return [...this.replicas.values()].filter(
      (r) => r.status!.ready && !r.stopping && !r.replaceWanted,
    )
  }

  scale(replicas: number): void {
    const spec = { ...this.workload.workload!.spec!, replicas: replicas + 1 }
    this.workload = { ...this.workload, workload: { ...this.workload.workload!, spec } }
  }

  update(choice: number): void {
    // Seldom: each replaces everything.
    const revision = this.workload.workload!.revision + (choice === 0 ? 1n : 0n)
    this.workload = { ...this.workload, workload: { ...this.workload.workload!, revision } }
  }

  boot(nodeId: string): void {
    const containers = this.containers.get(nodeId)!
    for (const id of containers.keys()) containers.set(id, 'booted')
  }

  #helloOf(nodeId: string): Hello {
    const replicas = [...this.containers.get(nodeId)!].map(([replicaId, container]) => ({
      replicaId,
      state: container === 'booted' ? ReplicaState.STARTING : ReplicaState.RUNNING,
      ready: container === 'ready',
      startedAtMs: 1n,
    }))
    return create(HelloSchema, { nodeId, replicas })
  }

  #write(write: Write): void {
    const made = write as RecordWrite<'replica'>
    if (write.kind === 'put') this.put(made.record)
    else if (write.kind === 'delete') this.replicas.delete(write.key.split('/').at(-1)!)
  }

  check(): void {
    for (const id of this.fenced) {
      const record = this.replicas.get(id)
      assert.ok(!record || record.stopping, `${id} was fenced and is back`)
    }
  }

  /** Every node is heard of and everything has time. */
  heal(): void {
    for (const nodeId of nodeIds) if (!this.online.has(nodeId)) this.hello(nodeId)
    for (let round = 0; round < 30; round++) {
      for (const nodeId of nodeIds) this.evict(nodeId)
      for (let n = 0; this.plan() && n < 20; n++) this.check()
      for (let n = 0; n < 10; n++) this.place(n)
      for (const nodeId of nodeIds) this.obey(nodeId)
      for (const nodeId of nodeIds) this.settleDown(nodeId)
    }
  }
}

function isOn(replica: ReplicaRecord, nodeId: string): boolean {
  return replica.status!.nodeId === nodeId
}

function isSame(one: ReplicaRecord): (other: ReplicaRecord) => boolean {
  return (other) => other.status!.id === one.status!.id
}

function held<R>(id: string, record: R): Held<R> {
  return { id, record, modRevision: 1, bytes: 1 }
}
