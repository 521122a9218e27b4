/** What users do while things go wrong. A seed draws which of them, and how often. */
import { create } from '@bufbuild/protobuf'
import {
  ApplyWorkloadRequestSchema,
  CordonNodeRequestSchema,
  DeleteWorkloadRequestSchema,
  DrainNodeRequestSchema,
  RemoveNodeRequestSchema,
  RestartWorkloadRequestSchema,
  RolloutRequestSchema,
  ScaleWorkloadRequestSchema,
  UncordonNodeRequestSchema,
  UndoRolloutRequestSchema,
  type Workload,
} from '@cloudless/api'
import { between } from '@cloudless/base'
import { chance, pickOne, wholeBetween } from '../random-streams.ts'
import type { NodeFacts } from '../world.ts'
import type { Chaos } from './chaos.ts'
import { cpuTargetPercent, manifestOf } from './manifests.ts'
import { behaviourFor, type PlannedWorkload } from './workload-draws.ts'

type Operation = (chaos: Chaos) => Promise<void> | void

/** The apply of a manifest, as `cloudlessctl apply` does it. */
export async function apply(chaos: Chaos, planned: PlannedWorkload): Promise<void> {
  const request = create(ApplyWorkloadRequestSchema, { workload: manifestOf(planned) })
  const { name, behaviour, version } = planned
  const answered = asking(chaos, name)
  const answer = await chaos.call(`applies ${name} (${behaviour}, version ${version})`, (running) =>
    running.workloads.applyWorkload(request),
  )
  if (answer === undefined) return
  chaos.workloads.set(name, planned)
  answered(answer.workload)
}

/** To be called before the call, and what it returns with the answer: that version of the workload must stay. */
function asking(chaos: Chaos, name: string): (workload: Workload | undefined) => void {
  const answered = chaos.acknowledged.asking(`default-${name}`)
  return (workload) => {
    if (workload) answered(Number(workload.resourceVersion))
  }
}

function anyWorkload({ random, workloads }: Chaos): PlannedWorkload | undefined {
  return workloads.size === 0 ? undefined : pickOne(random, [...workloads.values()])
}

export const operations = {
  async update(chaos) {
    const planned = anyWorkload(chaos)
    if (planned === undefined) return
    const behaviour = behaviourFor(chaos.random, planned.type, chaos.plan.behaviours)
    await apply(chaos, { ...planned, behaviour, version: planned.version + 1 })
  },

  async scale(chaos) {
    const planned = anyWorkload(chaos)
    if (planned === undefined) return
    const { name } = planned
    // Never above what was drawn: what the cluster has was reckoned with that.
    const replicasMax = chaos.plan.workloads.find((w) => w.name === name)?.replicas ?? 1
    const replicas = wholeBetween(chaos.random, 0, replicasMax)
    const answered = asking(chaos, name)
    const request = create(ScaleWorkloadRequestSchema, { workloadId: name, replicas })
    const answer = await chaos.call(`scales ${name} to ${replicas}`, (running) =>
      running.workloads.scaleWorkload(request),
    )
    if (answer === undefined) return
    chaos.workloads.set(name, { ...planned, replicas })
    answered(answer)
  },

  /** Its clients become more, or fewer. */
  'change-load'(chaos) {
    const autoscaled = chaos.plan.workloads.filter((planned) => planned.autoscales)
    if (autoscaled.length === 0) return
    const { name, replicas, cpuMillicores } = pickOne(chaos.random, autoscaled)
    const loadMax = replicas * cpuMillicores * (cpuTargetPercent / 100) * 1.2
    const load = Math.round(between(chaos.random, 0, loadMax))
    chaos.say(`users: ask ${load} millicores of ${name}`)
    chaos.world.loads.set(`default-${name}`, load)
  },

  async restart(chaos) {
    const name = anyWorkload(chaos)?.name
    if (name === undefined) return
    const answered = asking(chaos, name)
    const request = create(RestartWorkloadRequestSchema, { workloadId: name })
    const answer = await chaos.call(`restarts ${name}`, (running) =>
      running.workloads.restartWorkload(request),
    )
    answered(answer)
  },

  /** And makes it again some time later. */
  async delete(chaos) {
    const planned = anyWorkload(chaos)
    if (planned === undefined) return
    const { name } = planned
    const request = create(DeleteWorkloadRequestSchema, {
      workloadId: name,
      graceful: chance(chaos.random, 0.8),
    })
    chaos.acknowledged.deleting(`default-${name}`)
    const answer = await chaos.call(`deletes ${name}`, (running) =>
      running.workloads.deleteWorkload(request),
    )
    if (answer === undefined) return
    chaos.workloads.delete(name)
    const again = chaos.plan.workloads.find((w) => w.name === name)
    if (again) chaos.world.clock.after(120_000, () => void apply(chaos, again))
  },

  /** And goes on with it some time later. */
  async 'pause-rollout'(chaos) {
    const name = anyWorkload(chaos)?.name
    if (name === undefined) return
    const request = create(RolloutRequestSchema, { workloadId: name })
    const answer = await chaos.call(`pauses the rollout of ${name}`, (running) =>
      running.workloads.pauseRollout(request),
    )
    if (answer)
      chaos.breakFor(wholeBetween(chaos.random, 10, 300) * 1_000, () => resume(chaos, name))
  },

  async 'promote-rollout'(chaos) {
    const name = anyWorkload(chaos)?.name
    if (name === undefined) return
    const request = create(RolloutRequestSchema, { workloadId: name })
    await chaos.call(`promotes the rollout of ${name}`, (running) =>
      running.workloads.promoteRollout(request),
    )
  },

  async 'undo-rollout'(chaos) {
    const name = anyWorkload(chaos)?.name
    if (name === undefined) return
    const request = create(UndoRolloutRequestSchema, { workloadId: name })
    await chaos.call(`undoes the rollout of ${name}`, (running) =>
      running.workloads.undoRollout(request),
    )
  },

  async drain(chaos) {
    const node = chaos.anyNode()
    if (node === undefined) return
    const request = create(DrainNodeRequestSchema, {
      nodeId: node.nodeId,
      timeoutMs: BigInt(wholeBetween(chaos.random, 10, 600) * 1_000),
      graceful: chance(chaos.random, 0.9),
      force: chance(chaos.random, 0.2),
    })
    await chaos.call(`drains ${node.name}`, (running) => running.nodes.drainNode(request))
    chaos.breakFor(wholeBetween(chaos.random, 60, 900) * 1_000, () => uncordon(chaos, node.nodeId))
  },

  async cordon(chaos) {
    const node = chaos.anyNode()
    if (node === undefined) return
    const request = create(CordonNodeRequestSchema, { nodeId: node.nodeId })
    await chaos.call(`cordons ${node.name}`, (running) => running.nodes.cordonNode(request))
    chaos.breakFor(wholeBetween(chaos.random, 60, 900) * 1_000, () => uncordon(chaos, node.nodeId))
  },

  /** For good; a machine like it joins in its place, so that there is room for what runs. */
  async 'remove-node'(chaos) {
    const node = chaos.anyNode()
    if (node === undefined) return
    const request = create(RemoveNodeRequestSchema, { nodeId: node.nodeId, force: true })
    const answer = await chaos.call(`removes ${node.name}`, (running) =>
      running.nodes.removeNode(request),
    )
    if (answer === undefined) return
    const { cpuMillicores, memoryBytes } = node.allocatable
    const facts = { name: chaos.newName('n'), cpuMillicores, memoryBytes }
    chaos.breakFor(wholeBetween(chaos.random, 0, 300) * 1_000, () => join(chaos, facts))
  },

  'join-node'(chaos) {
    if (chaos.memberCount >= nodesMax) return
    const facts = { name: chaos.newName('n'), cpuMillicores: 2_000, memoryBytes: 4n << 30n }
    join(chaos, facts)
  },
} satisfies Record<string, Operation>

/** No more join. */
export const nodesMax = 12

export type OperationKind = keyof typeof operations

export const operationKinds = Object.keys(operations) as OperationKind[]

function resume(chaos: Chaos, name: string): void {
  const request = create(RolloutRequestSchema, { workloadId: name })
  void chaos.call(`resumes the rollout of ${name}`, (running) =>
    running.workloads.resumeRollout(request),
  )
}

/** Tried until it is done, or there is no such node any more. */
function uncordon(chaos: Chaos, nodeId: string): void {
  const request = create(UncordonNodeRequestSchema, { nodeId })
  chaos.insist(`uncordons ${nodeId}`, ({ nodes, state }) =>
    state.get('node', nodeId) ? nodes.uncordonNode(request) : Promise.resolve('gone'),
  )
}

function join(chaos: Chaos, facts: NodeFacts): void {
  chaos.insist(`joins ${facts.name}`, () => chaos.world.join(facts))
}

/** Until it is gone for good. */
export function deleteForGood(chaos: Chaos, name: string): void {
  const request = create(DeleteWorkloadRequestSchema, { workloadId: name })
  chaos.acknowledged.deleting(`default-${name}`)
  chaos.insist(`deletes ${name}`, ({ workloads, state }) =>
    state.get('workload', `default-${name}`)
      ? workloads.deleteWorkload(request)
      : Promise.resolve('gone'),
  )
}
