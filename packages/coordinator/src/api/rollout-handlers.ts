/** CoordinatorService's calls about rollouts: to pause, go on, promote or go back, and the revisions there are. */
import { create } from '@bufbuild/protobuf'
import {
  ListRevisionsResponseSchema,
  pageOf,
  type ListRevisionsRequest,
  type RolloutRequest,
  type UndoRolloutRequest,
  type Workload,
  type WorkloadRecord,
} from '@cloudless/api'
import { CloudlessError, type Clock } from '@cloudless/base'
import type { Precondition, Write } from '@cloudless/metadata'
import { goBack, isUnfinished } from '../controllers/begin-rollout.ts'
import { leftBehind } from '../controllers/revision-records.ts'
import { rolloutFacts, type RolloutFacts } from '../controllers/rollout-facts.ts'
import { pauseRollout, promoteRollout, resumeRollout } from '../controllers/rollout-orders.ts'
import { rolloutOf } from '../controllers/rollout-quota.ts'
import { putRecord, unchanged, type ClusterState, type Held } from '../state/cluster-state.ts'
import { noWorkload, requireWorkload } from './find.ts'
import { beingDeleted } from './workload-changes.ts'
import { viewHeldWorkload } from './workload-view.ts'

export type RolloutAction = 'pause' | 'resume' | 'promote' | 'undo'

export interface RolloutHandlersDeps {
  readonly state: ClusterState
  readonly clock: Clock
  readonly onChanged: (workload: WorkloadRecord, action: RolloutAction) => void
}

interface Change {
  readonly record: WorkloadRecord
  readonly preconditions?: readonly Precondition[]
  readonly writes?: readonly Write[]
}

export function rolloutHandlers({ state, clock, onChanged }: RolloutHandlersDeps) {
  /** Changes nothing, and says nothing, when the rollout is already as ordered. */
  async function order(
    { workloadId, namespace }: { readonly workloadId: string; readonly namespace: string },
    action: RolloutAction,
    change: (held: Held<WorkloadRecord>, nowMs: number) => Change,
  ): Promise<Workload> {
    const { id } = requireWorkload(state, workloadId, namespace)
    const changed = await state.update(() => {
      const held = state.held('workload', id)
      if (!held) throw noWorkload(namespace, workloadId)
      if (held.record.deletedAtMs > 0n) throw beingDeleted(held.record.workload!)
      const { record, preconditions = [], writes = [] } = change(held, clock.wallMs())
      if (record === held.record) return undefined
      return {
        preconditions: [unchanged('workload', held), ...preconditions],
        writes: [putRecord('workload', id, record), ...writes],
        result: record,
      }
    })
    if (changed) onChanged(changed, action)
    const held = state.held('workload', id)
    if (!held) throw noWorkload(namespace, workloadId)
    return viewHeldWorkload(state, held, true)
  }

  function factsOf({ id, record }: Held<WorkloadRecord>, nowMs: number): RolloutFacts {
    const replicas = state.replicasOfWorkload(id).map((replica) => replica.record)
    return rolloutFacts(record, replicas, nowMs)
  }

  return {
    pauseRollout: (request: RolloutRequest): Promise<Workload> =>
      order(request, 'pause', (held, nowMs) => ({
        record: pauseRollout(held.record, factsOf(held, nowMs)),
      })),

    resumeRollout: (request: RolloutRequest): Promise<Workload> =>
      order(request, 'resume', (held, nowMs) => ({ record: resumeRollout(held.record, nowMs) })),

    promoteRollout: (request: RolloutRequest): Promise<Workload> =>
      order(request, 'promote', (held, nowMs) => ({
        record: promoteRollout(held.record, factsOf(held, nowMs), nowMs),
      })),

    async undoRollout(request: UndoRolloutRequest): Promise<Workload> {
      const { toRevision } = request
      if (toRevision < 0n) {
        throw new CloudlessError('invalid_argument', 'to_revision: must not be negative')
      }
      return order(request, 'undo', (held, nowMs) => {
        const target = targetOf(state, held, toRevision)
        const left = leftBehind(state, held.record)
        const record = goBack(held.record, target, { nowMs, failedRevision: 0n, message: '' })
        return { record, ...left }
      })
    },

    listRevisions(request: ListRevisionsRequest) {
      const { id, record } = requireWorkload(state, request.workloadId, request.namespace)
      const revisions = state.revisionsOfWorkload(id).map((held) => held.record.revision!)
      const page = pageOf(revisions, ({ revision }) => newestFirst(revision), request)
      const current = record.workload!.revision
      return create(ListRevisionsResponseSchema, {
        revisions: page.items.map((one) => ({ ...one, current: one.revision === current })),
        nextToken: page.nextToken,
        total: page.total,
      })
    },
  }
}

/** The revision to go back to; 0: what was there before the current one. */
function targetOf(state: ClusterState, held: Held<WorkloadRecord>, toRevision: bigint) {
  const { name, revision: current } = held.record.workload!
  const remembered = state
    .revisionsOfWorkload(held.id)
    .map((one) => one.record.revision!)
    .sort((a, b) => (a.revision > b.revision ? -1 : 1))
  const wanted = toRevision || before(held.record, remembered)
  if (wanted === current) {
    throw new CloudlessError(
      'failed_precondition',
      `cannot undo: workload "${name}" has revision ${current} already`,
    )
  }
  const target = remembered.find(({ revision }) => revision === wanted)
  if (target) return target
  const others = remembered.map(({ revision }) => revision).filter((one) => one !== current)
  const there = others.length === 0 ? 'none is' : `there are ${others.join(', ')}`
  const which = wanted === 0n ? `one before revision ${current}` : `revision ${wanted}`
  throw new CloudlessError(
    'not_found',
    `cannot undo: ${which} of workload "${name}" is not remembered; ${there}`,
  )
}

/** 0: none. */
function before(
  record: WorkloadRecord,
  newestFirst: readonly { readonly revision: bigint; readonly outcome: string }[],
): bigint {
  const current = record.workload!.revision
  const rollout = rolloutOf(record)
  // What is being gone back from is no place to return to.
  const isForward = isUnfinished(rollout) && rollout.fromRevision < current
  if (isForward && rollout.fromRevision > 0n) return rollout.fromRevision
  const earlier = newestFirst.filter(({ revision }) => revision < current)
  const good = earlier.find(({ outcome }) => outcome === 'completed') ?? earlier[0]
  return good?.revision ?? 0n
}

const revisionMax = 2n ** 63n - 1n

/** A key whose order is the opposite of the numbers'. */
function newestFirst(revision: bigint): string {
  return String(revisionMax - revision).padStart(19, '0')
}
