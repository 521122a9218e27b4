/**
 * What always holds of plans to make room, against a reference that tries every set of victims on every node and asks the
 * scheduler's own filters whether the replica would then do.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { admit } from './explain.ts'
import {
  noResources,
  type Affinity,
  type PendingReplica,
  type PlacedReplica,
  type Preemption,
  type ReplicaKind,
} from './model.ts'
import { planPreemption } from './preempt.ts'
import { isCheaper, type Toll } from './preemption/victim-search.ts'
import { schedule } from './schedule.ts'
import { aKind, aNode, tableOf } from './test-views.ts'
import type { ClusterTable } from './table/cluster-table.ts'

const labels = ['red', 'blue']

const affinityOf = (app: string, topologyKey: string): Affinity => ({
  subject: 'workload',
  matchLabels: { app },
  topologyKey,
  required: true,
  weight: 1,
})

const anAffinity = fc
  .tuple(fc.constantFrom(...labels), fc.constantFrom('node', 'zone'))
  .map(([app, key]) => [affinityOf(app, key)])

const rarely = <T>(arbitrary: fc.Arbitrary<T[]>): fc.Arbitrary<T[]> =>
  fc.oneof({ weight: 4, arbitrary: fc.constant<T[]>([]) }, { weight: 1, arbitrary })

const kinds: fc.Arbitrary<ReplicaKind> = fc
  .record({
    workload: fc.integer({ min: 0, max: 3 }),
    app: fc.constantFrom(...labels),
    priority: fc.integer({ min: -1, max: 3 }),
    cpuMillis: fc.integer({ min: 0, max: 4 }),
    gpuCount: fc.constantFrom(0, 0, 0, 1, 2),
    hostPorts: rarely(fc.constant(['80/TCP'])),
    antiAffinity: rarely(anAffinity),
    affinity: rarely(anAffinity),
    spread: rarely(fc.constantFrom(['node'], ['zone'])),
    spreadTopology: fc.constantFrom('' as const, 'zone' as const),
  })
  .map(({ workload, app, cpuMillis, gpuCount, spread, ...rest }) =>
    aKind({
      ...rest,
      workloadId: `w${workload}`,
      labels: { app },
      requests: { ...noResources, cpuMillis, gpuCount },
      topologySpread: spread.map((topologyKey) => ({
        topologyKey,
        maxSkew: 1,
        minDomains: 0,
        required: true,
        matchLabels: { app },
      })),
    }),
  )

interface Scene {
  readonly table: ClusterTable
  readonly replicas: readonly PlacedReplica[]
  readonly pending: PendingReplica
  readonly spareOf: (workloadId: string) => number
}

const scenes = fc
  .record({
    nodes: fc.array(
      fc.record({
        zone: fc.constantFrom('one', 'two'),
        cpu: fc.integer({ min: 2, max: 8 }),
        gpus: fc.integer({ min: 0, max: 3 }),
        isTainted: fc.constantFrom(false, false, false, true),
      }),
      { minLength: 1, maxLength: 4 },
    ),
    kinds: fc.array(kinds, { minLength: 1, maxLength: 5 }),
    pending: kinds,
    replicas: fc.array(
      fc.record({
        kind: fc.nat(4),
        node: fc.nat(3),
        holding: fc.constantFrom('holding', 'holding', 'holding', 'leaving', 'nominated'),
      }),
      { maxLength: 14 },
    ),
    spare: fc.array(fc.integer({ min: 0, max: 4 }), { minLength: 4, maxLength: 4 }),
    isExcluded: fc.constantFrom(false, false, false, true),
  })
  .map(
    ({ nodes, kinds, pending, replicas, spare, isExcluded }): Scene & { again(): ClusterTable } => {
      const views = nodes.map(({ zone, cpu, gpus, isTainted }, n) =>
        aNode(`n${n}`, {
          zone,
          allocatable: { ...noResources, cpuMillis: cpu, gpuCount: gpus },
          taints: isTainted ? [{ key: 'own', value: '', effect: 'NoSchedule' }] : [],
        }),
      )
      const placed = replicas.map(({ kind, node, holding }, n): PlacedReplica => ({
        id: `r${n}`,
        nodeId: views[node % views.length]!.id,
        kind: kinds[kind % kinds.length]!,
        holding: holding as PlacedReplica['holding'],
      }))
      const excludedNodeIds = isExcluded ? [views[0]!.id] : []
      return {
        table: tableOf(views, placed),
        replicas: placed,
        pending: { id: 'new', kind: pending, excludedNodeIds },
        spareOf: (workloadId) => spare[Number(workloadId.slice(1))]!,
        again: () => tableOf(views.toReversed(), placed.toReversed()),
      }
    },
  )

test('no other set of victims on any node is cheaper, and where there is none there is no plan', () => {
  fc.assert(
    fc.property(scenes, ({ table, replicas, pending, spareOf }) => {
      const plan = planPreemption(table, pending, { spareOf })
      const best = cheapestOfAll(table, replicas, pending, spareOf)
      assert.deepEqual(plan && tollOf(table, plan.victimIds), best)
    }),
    { numRuns: 1_500 },
  )
})

test('victims are of lower priority, on the node, and no more than their workloads can spare', () => {
  fc.assert(
    fc.property(scenes, ({ table, pending, spareOf }) => {
      const plan = planPreemption(table, pending, { spareOf })
      const taken = new Map<string, number>()
      for (const id of plan?.victimIds ?? []) {
        const { kind, nodeId, holding } = table.replica(id)!
        assert.ok(kind.priority < pending.kind.priority && holding === 'holding')
        assert.equal(nodeId, plan!.nodeId)
        taken.set(kind.workloadId, (taken.get(kind.workloadId) ?? 0) + 1)
      }
      for (const [workloadId, count] of taken) assert.ok(count <= spareOf(workloadId))
    }),
    { numRuns: 500 },
  )
})

test('once the victims, the leaving and the displaced are gone the node admits it, and it is placed', () => {
  fc.assert(
    fc.property(scenes, ({ table, pending, spareOf }) => {
      const plan = planPreemption(table, pending, { spareOf })
      if (plan === undefined) return
      carryOut(table, plan)
      assert.equal(admit(table, pending, plan.nodeId), undefined)
      assert.equal(schedule(table, [pending])[0]!.kind, 'placed')
    }),
    { numRuns: 500 },
  )
})

test('every displaced nomination had to go', () => {
  fc.assert(
    fc.property(scenes, ({ table, pending, spareOf }) => {
      const plan = planPreemption(table, pending, { spareOf })
      if (plan === undefined || plan.displacedIds.length === 0) return
      const displaced = plan.displacedIds.map((id) => table.replica(id)!)
      carryOut(table, plan)
      for (const replica of displaced) {
        assert.ok(replica.kind.priority < pending.kind.priority)
        table.putReplica(replica)
        assert.notEqual(admit(table, pending, plan.nodeId), undefined)
        table.removeReplica(replica.id)
      }
    }),
    { numRuns: 1_000 },
  )
})

test('the plan is the same whatever the history of the table, and leaves it as it was', () => {
  fc.assert(
    fc.property(scenes, fc.array(kinds, { maxLength: 3 }), (scene, others) => {
      const { table, pending, spareOf, replicas } = scene
      // Plans for others, with other budgets, and replicas that came and went, leave their traces in what is kept.
      for (const kind of [...others, pending.kind]) {
        planPreemption(table, { ...pending, kind }, { spareOf: (id) => spareOf(id) >> 1 })
      }
      for (const replica of replicas) {
        table.removeReplica(replica.id)
        planPreemption(table, pending, { spareOf: () => 9 })
        table.putReplica(replica)
      }
      const plan = planPreemption(table, pending, { spareOf })
      assert.deepEqual(plan, planPreemption(scene.again(), pending, { spareOf }))
      const onIt = [...table.nodes()].flatMap(({ id }) => table.replicasOn(id))
      assert.deepEqual(new Set(onIt), new Set(replicas))
    }),
    { numRuns: 300 },
  )
})

function carryOut(table: ClusterTable, { nodeId, victimIds, displacedIds }: Preemption): void {
  for (const id of [...victimIds, ...displacedIds]) table.removeReplica(id)
  for (const { id, holding } of table.replicasOn(nodeId)) {
    if (holding === 'leaving') table.removeReplica(id)
  }
}

function tollOf(table: ClusterTable, victimIds: readonly string[]): Toll {
  const priorities = victimIds.map((id) => table.replica(id)!.kind.priority)
  return {
    count: priorities.length,
    highest: Math.max(-Infinity, ...priorities),
    sum: priorities.reduce((sum, priority) => sum + priority, 0),
  }
}

function cheapestOfAll(
  table: ClusterTable,
  replicas: readonly PlacedReplica[],
  pending: PendingReplica,
  spareOf: (workloadId: string) => number,
): Toll | undefined {
  let best: Toll | undefined
  for (const { id: nodeId } of table.nodes()) {
    const onNode = replicas.filter((replica) => replica.nodeId === nodeId)
    const isLower = ({ kind }: PlacedReplica): boolean => kind.priority < pending.kind.priority
    const gone = onNode.filter(
      (one) => one.holding === 'leaving' || (one.holding === 'nominated' && isLower(one)),
    )
    const eligible = onNode.filter((one) => one.holding === 'holding' && isLower(one))
    for (let bits = 0; bits < 2 ** eligible.length; bits++) {
      const victims = eligible.filter((_, n) => bits & (1 << n))
      const toll = tollOf(
        table,
        victims.map(({ id }) => id),
      )
      if (best !== undefined && !isCheaper(toll, best)) continue
      const isTooMany = victims.some(
        ({ kind: { workloadId } }) =>
          victims.filter((one) => one.kind.workloadId === workloadId).length > spareOf(workloadId),
      )
      if (isTooMany) continue
      for (const { id } of [...gone, ...victims]) table.removeReplica(id)
      if (admit(table, pending, nodeId) === undefined) best = toll
      for (const replica of [...gone, ...victims]) table.putReplica(replica)
    }
  }
  return best
}
