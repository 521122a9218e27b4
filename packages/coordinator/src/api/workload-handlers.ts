/** CoordinatorService's calls about workloads; those that only read stand apart. */
import { clone, create } from '@bufbuild/protobuf'
import { EmptySchema } from '@bufbuild/protobuf/wkt'
import {
  ApplyOutcome,
  ApplyWorkloadResponseSchema,
  defaultWorkload,
  errorOfProblems,
  validateWorkload,
  WorkloadSchema,
  type ApplyWorkloadRequest,
  type ApplyWorkloadResponse,
  type CreateWorkloadRequest,
  type DeleteWorkloadRequest,
  type RestartWorkloadRequest,
  type ScaleWorkloadRequest,
  type UpdateWorkloadRequest,
  type Workload,
  type WorkloadRecord,
} from '@cloudless/api'
import { CloudlessError, type Clock } from '@cloudless/base'
import { absent, putRecord, unchanged, type Decision, type Held } from '../state/cluster-state.ts'
import {
  firstRevision,
  nextRevision,
  type RevisionChanges,
} from '../controllers/revision-records.ts'
import { rememberNothing, type Remember } from '../state/remember.ts'
import { refuseOtherKind, refuseRestart, refuseScale } from './kind-changes.ts'
import { requireScaledByHand } from './autoscaled-replicas.ts'
import { findWorkload, noWorkload, requireWorkload, workloadIdOf } from './find.ts'
import {
  alreadyExists,
  beingDeleted,
  createdRecord,
  restartedRecord,
  sameContent,
  updatedRecord,
} from './workload-changes.ts'
import { rolloutHandlers, type RolloutAction } from './rollout-handlers.ts'
import { workloadReadingHandlers, type WorkloadReadingDeps } from './workload-reading-handlers.ts'
import { viewHeldWorkload, viewWorkload } from './workload-view.ts'

export interface WorkloadHandlersDeps extends WorkloadReadingDeps {
  readonly clock: Clock
  /** Refuses what the cluster's policy does not allow. */
  readonly admit: (workload: Workload) => void
  readonly onChanged: (
    workload: WorkloadRecord,
    action: WorkloadAction,
    before?: WorkloadRecord,
  ) => void
}

export type WorkloadAction =
  | 'create'
  | 'update'
  | 'scale'
  | 'restart'
  | 'suspend'
  | 'unsuspend'
  | 'delete'
  | RolloutAction

const replicasMax = 100_000

export function workloadHandlers(deps: WorkloadHandlersDeps) {
  const { state, clock } = deps

  /** Checks, completes and names what a request brought. */
  function accepted(workload: Workload | undefined): Workload {
    if (!workload) throw new CloudlessError('invalid_argument', 'workload: must be set')
    const complete = defaultWorkload(clone(WorkloadSchema, workload))
    const problems = validateWorkload(complete)
    if (problems.length > 0) throw errorOfProblems('the workload is not valid', problems)
    deps.admit(complete)
    const id = workloadIdOf(complete.namespace, complete.name)
    const plain = { ...complete, id, ownerId: '', resourceVersion: 0n, revision: 0n }
    delete plain.status
    return plain
  }

  function view(id: string): Workload {
    const held = state.held('workload', id)
    if (!held) throw new CloudlessError('not_found', `workload "${id}" was deleted meanwhile`)
    return viewHeldWorkload(state, held, true)
  }

  function decideCreate(
    workload: Workload,
    remember: Remember<Workload>,
  ): Decision<WorkloadRecord> {
    const existing = state.held('workload', workload.id)
    if (existing) throw alreadyExists(existing, workload)
    const record = createdRecord(workload, clock.wallMs())
    const history = firstRevision(state, record.workload!)
    const answer = viewWorkload(record, [], { withReplicas: true, modRevision: 0 })
    return {
      preconditions: [absent('workload', workload.id), ...remember.preconditions],
      writes: [
        putRecord('workload', workload.id, record),
        ...history.writes,
        ...remember.writes(answer),
      ],
      result: record,
    }
  }

  async function createWorkload(
    request: CreateWorkloadRequest,
    remember: Remember<Workload> = rememberNothing,
  ): Promise<Workload> {
    const workload = accepted(request.workload)
    if (request.dryRun) {
      const { result } = decideCreate(workload, rememberNothing)
      return viewWorkload(result, [], { withReplicas: true, modRevision: 0 })
    }
    const record = await state.update(() => decideCreate(workload, remember))
    deps.onChanged(record!, 'create')
    return view(workload.id)
  }

  /** Undefined when the record is already as asked. */
  function decideUpdate(
    held: Held<WorkloadRecord>,
    workload: Workload,
    remember: Remember<Workload>,
  ): Decision<WorkloadRecord> {
    if (held.record.deletedAtMs > 0n) throw beingDeleted(workload)
    refuseOtherKind(held.record.workload!, workload)
    const record = updatedRecord(held.record, workload, clock.wallMs())
    if (sameContent(held.record.workload!, workload)) {
      return { preconditions: [], writes: [], result: held.record }
    }
    const history = nextRevision(state, held.record, record, 'updated')
    // Its version is known only once it is stored: the answer that is given again has none.
    const answer = viewWorkload(record, [], { withReplicas: true, modRevision: 0 })
    return {
      preconditions: [
        unchanged('workload', held),
        ...history.preconditions,
        ...remember.preconditions,
      ],
      writes: [
        putRecord('workload', held.id, record),
        ...history.writes,
        ...remember.writes(answer),
      ],
      result: record,
    }
  }

  async function updateWorkload(
    request: UpdateWorkloadRequest,
    remember: Remember<Workload> = rememberNothing,
  ): Promise<Workload> {
    const workload = accepted(request.workload)
    const expected = Number(request.workload!.resourceVersion)
    const decide = (kept: Remember<Workload> = remember): Decision<WorkloadRecord> => {
      const held = findWorkload(state, workload.namespace, workload.name)
      if (!held) throw noWorkload(workload.namespace, workload.name)
      if (expected !== 0 && expected !== held.modRevision) {
        throw new CloudlessError(
          'conflict',
          `workload "${workload.name}" has changed since you read it (version ${expected}, now ` +
            `${held.modRevision}): read it again and repeat your change`,
        )
      }
      return decideUpdate(held, workload, kept)
    }
    if (request.dryRun) {
      const { result } = decide(rememberNothing)
      return viewWorkload(result, [], { withReplicas: false, modRevision: expected })
    }
    const before = state.held('workload', workload.id)?.modRevision
    const record = await state.update(() => decide())
    if (state.held('workload', workload.id)?.modRevision !== before) {
      deps.onChanged(record!, 'update')
    }
    return view(workload.id)
  }

  async function edit(
    request: { readonly workloadId: string; readonly namespace: string },
    action: WorkloadAction,
    change: (record: WorkloadRecord) => WorkloadRecord,
    history: (before: WorkloadRecord, after: WorkloadRecord) => RevisionChanges = () => noHistory,
  ): Promise<string> {
    const { id, record: before } = requireWorkload(state, request.workloadId, request.namespace)
    const record = await state.update(() => {
      // By id from here on: a name of the default namespace may read like it.
      const held = state.held('workload', id)
      if (!held) throw noWorkload(request.namespace, request.workloadId)
      if (held.record.deletedAtMs > 0n && action !== 'delete') {
        throw beingDeleted(held.record.workload!)
      }
      const result = change(held.record)
      const revisions = history(held.record, result)
      return {
        preconditions: [unchanged('workload', held), ...revisions.preconditions],
        writes: [putRecord('workload', held.id, result), ...revisions.writes],
        result,
      }
    })
    deps.onChanged(record!, action, before)
    return id
  }

  return {
    ...workloadReadingHandlers(deps),
    ...rolloutHandlers({ state, clock, onChanged: deps.onChanged }),
    createWorkload,
    updateWorkload,

    async applyWorkload(
      request: ApplyWorkloadRequest,
      remember: Remember<ApplyWorkloadResponse> = rememberNothing,
    ) {
      const workload = accepted(request.workload)
      const existing = findWorkload(state, workload.namespace, workload.name)
      const outcome = !existing
        ? ApplyOutcome.CREATED
        : sameContent(existing.record.workload!, workload)
          ? ApplyOutcome.UNCHANGED
          : ApplyOutcome.CONFIGURED
      const answerOf = (answer: Workload): ApplyWorkloadResponse =>
        create(ApplyWorkloadResponseSchema, { workload: answer, outcome })
      const asAnswered: Remember<Workload> = {
        preconditions: remember.preconditions,
        writes: (answer) => remember.writes(answerOf(answer)),
      }
      if (existing) {
        const asUpdate = {
          ...request,
          $typeName: 'cloudless.api.v1.UpdateWorkloadRequest',
        } as const
        return answerOf(await updateWorkload(asUpdate, asAnswered))
      }
      const asCreate = { ...request, $typeName: 'cloudless.api.v1.CreateWorkloadRequest' } as const
      return answerOf(await createWorkload(asCreate, asAnswered))
    },

    async deleteWorkload(request: DeleteWorkloadRequest) {
      const graceful = request.graceful ?? true
      if (request.timeoutMs < 0n) {
        throw new CloudlessError('invalid_argument', 'timeout_ms: must not be negative')
      }
      const graceMs = graceful ? request.timeoutMs || undefined : 0n
      await edit(request, 'delete', (record) => ({
        ...record,
        deletedAtMs: record.deletedAtMs || BigInt(clock.wallMs()),
        ...(graceMs === undefined ? {} : { deleteGraceMs: graceMs }),
      }))
      return create(EmptySchema)
    },

    async scaleWorkload(request: ScaleWorkloadRequest): Promise<Workload> {
      const { replicas } = request
      if (replicas < 0 || replicas > replicasMax) {
        throw new CloudlessError('invalid_argument', `replicas: must be 0 to ${replicasMax}`)
      }
      const id = await edit(request, 'scale', (record) => {
        refuseScale(record.workload!)
        requireScaledByHand(record.workload!)
        const workload = {
          ...record.workload!,
          updatedAtMs: BigInt(clock.wallMs()),
          spec: { ...record.workload!.spec!, replicas },
        }
        return { ...record, workload }
      })
      return view(id)
    },

    async restartWorkload(request: RestartWorkloadRequest): Promise<Workload> {
      const id = await edit(
        request,
        'restart',
        (record) => {
          refuseRestart(record.workload!)
          return restartedRecord(record, clock.wallMs())
        },
        (before, after) => nextRevision(state, before, after, 'restarted'),
      )
      return view(id)
    },
  }
}

const noHistory: RevisionChanges = { preconditions: [], writes: [] }
