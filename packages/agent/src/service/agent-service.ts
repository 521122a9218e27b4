/** AgentService: this node's containers, for the coordinator and, through it, for operators. */
import { create } from '@bufbuild/protobuf'
import {
  AgentService,
  AssignmentSchema,
  defaultWorkloadSpec,
  errorOfProblems,
  ImagePullPolicy,
  namespaceDefault,
  pageOf,
  PullImageResponseSchema,
  toConnectError,
  validateWorkloadSpec,
  type Assignment,
  type PullImageResponse,
  type ReportResourcesResponse,
  type RunContainerRequest,
  type StopContainerRequest,
} from '@cloudless/api'
import { CloudlessError, problemWithLabel, Semaphore, type Clock } from '@cloudless/base'
import type { PullProgress, Runtime } from '@cloudless/runtime'
import type { ConnectRouter, HandlerContext, Interceptor } from '@connectrpc/connect'
import { isOver } from '../replica/replica-orders.ts'
import type { ReplicaActor } from '../replica/replica-actor.ts'
import type { Supervisor } from '../replica/supervisor.ts'
import { lessReserved, reservedBy, shortagesFor } from '../resources/reservation.ts'
import { containerStatsOf, containerStatusOf, fragmentOf } from './container-views.ts'
import { converse, runCommand } from './exec-handlers.ts'
import { streamLogs } from './log-handler.ts'

export interface AgentServiceDeps {
  readonly clock: Clock
  readonly runtime: Runtime
  readonly supervisor: Supervisor
  readonly nodeId: () => string
  readonly resources: () => ReportResourcesResponse
  /** What containers run by hand hold of the node has changed. */
  readonly onReservation: () => void
}

/** Registers the service; for connectNodeAdapter. */
export function agentServiceRoutes(deps: AgentServiceDeps): (router: ConnectRouter) => void {
  const { runtime, supervisor } = deps
  // One after another: each is let in on what those before it have left.
  const admissions = new Semaphore(1)
  const find = (id: string): ReplicaActor => findActor(supervisor, id)
  return (router) => {
    router.service(AgentService, {
      runContainer: (request) => admissions.run(() => runContainer(deps, request)),
      stopContainer: (request, context) => stopContainer(deps, request, context),
      getContainerStatus: async ({ containerId }) =>
        containerStatusOf(find(containerId).state, await usageOf(runtime, containerId)),
      listContainers: async (request) => {
        const page = pageOf([...supervisor.replicas()], (actor) => actor.replicaId, request)
        const usages = new Map((await runtime.usage()).map((usage) => [usage.containerId, usage]))
        const containers = page.items.map(({ state }) =>
          containerStatusOf(state, usages.get(state.containerId)),
        )
        return { containers, nextToken: page.nextToken, total: page.total }
      },
      streamLogs: (request, context) =>
        streamLogs(deps, find(request.containerId), request, context.signal),
      execCommand: (request, context) => {
        const { containerId } = runningActor(supervisor, request.containerId).state
        return runCommand(deps, { ...request, containerId }, context.signal)
      },
      exec: (inputs, context) =>
        converse(
          deps,
          inputs,
          (id) => runningActor(supervisor, id).state.containerId,
          context.signal,
        ),
      reportResources: () => deps.resources(),
      getFragments: (request) => {
        const page = pageOf([...supervisor.replicas()], (actor) => actor.replicaId, request)
        const fragments = page.items.map(({ state }) => fragmentOf(state, deps.nodeId()))
        return { fragments, nextToken: page.nextToken, total: page.total }
      },
      getContainerStats: async ({ containerId }) => {
        const wanted = containerId === '' ? undefined : find(containerId).state.containerId
        const usages = (await runtime.usage()).filter(
          (usage) => wanted === undefined || usage.containerId === wanted,
        )
        return { stats: usages.map(containerStatsOf) }
      },
      listImages: async (request) => {
        const page = pageOf(await runtime.images(), (image) => image.name, request)
        const images = page.items.map((image) => ({
          ...image,
          bytes: BigInt(image.bytes),
          createdAtMs: BigInt(Math.round(image.createdAtMs)),
        }))
        return { images, nextToken: page.nextToken, total: page.total }
      },
      pullImage: ({ image }, context) => pullImage(runtime, image, context.signal),
    })
  }
}

/** The boundary: whatever a handler throws leaves with its code. */
export const errorInterceptor: Interceptor = (next) => async (request) => {
  try {
    const response = await next(request)
    if (!response.stream) return response
    return { ...response, message: withCodes(response.message) }
  } catch (reason) {
    throw toConnectError(reason)
  }
}

async function* withCodes<T>(messages: AsyncIterable<T>): AsyncIterable<T> {
  try {
    yield* messages
  } catch (reason) {
    throw toConnectError(reason)
  }
}

// --- containers by hand

const adHocPrefix = 'run-'

async function runContainer(
  deps: AgentServiceDeps,
  request: RunContainerRequest,
): Promise<{ containerId: string }> {
  const problem = problemWithLabel(request.name)
  if (problem !== undefined) throw new CloudlessError('invalid_argument', `name: ${problem}`)
  if (request.spec === undefined)
    throw new CloudlessError('invalid_argument', 'spec: must be given')
  const problems = validateWorkloadSpec(request.spec)
  if (problems.length > 0) throw errorOfProblems(`container ${request.name}`, problems)
  const containerId = adHocPrefix + request.name
  const assignment = create(AssignmentSchema, {
    replicaId: containerId,
    fragmentId: `frag-${containerId}`,
    workloadName: request.name,
    namespace: namespaceDefault,
    spec: defaultWorkloadSpec(request.spec),
    action: 'run',
  })
  requireRoom(deps, assignment)
  await deps.supervisor.runByHand(assignment, request.idempotencyKey)
  deps.onReservation()
  return { containerId }
}

/** What replicas and other containers have left must do, as the scheduler sees to for replicas. */
function requireRoom({ supervisor, resources }: AgentServiceDeps, assignment: Assignment): void {
  if (supervisor.find(assignment.replicaId) !== undefined) return // Has its room, or is refused for its name.
  const replicas = [...supervisor.replicas()].filter(({ options }) => !options.adHoc)
  const assigned = reservedBy(replicas.map(({ state }) => state))
  const left = lessReserved(resources().allocatable!, assigned)
  const short = shortagesFor(assignment, left)
  if (short.length === 0) return
  throw new CloudlessError(
    'resource_exhausted',
    `container ${assignment.workloadName} does not fit on this node: it asks for ${short.join(', ')}; ` +
      'ask for less, or choose another node',
  )
}

async function stopContainer(
  { supervisor, onReservation }: AgentServiceDeps,
  request: StopContainerRequest,
  context: HandlerContext,
): Promise<{ exitCode: number }> {
  const actor = findActor(supervisor, request.containerId)
  const graceMs = request.graceMs === undefined ? undefined : Number(request.graceMs)
  if (!actor.options.adHoc) {
    if (request.remove) {
      throw new CloudlessError(
        'failed_precondition',
        `${actor.replicaId} belongs to a workload and would be made again; ` +
          'scale or delete the workload instead',
      )
    }
    if (isOver(actor.state)) {
      throw new CloudlessError(
        'failed_precondition',
        `${actor.replicaId} is an attempt of job "${actor.state.assignment.workloadName}" and has ended: ` +
          'it cannot be restarted; delete the job and apply it again to run it anew',
      )
    }
    actor.send({ kind: 'restart', graceMs })
  } else actor.send({ kind: request.remove ? 'stop' : 'halt', graceMs })
  const inBetween = request.remove ? anyButRemoved : ['lingering', 'stopping', 'cancelling']
  await supervisor.until(() => !inBetween.includes(actor.state.stage), context.signal)
  if (actor.options.adHoc) onReservation()
  return { exitCode: actor.state.lastEnd?.exitCode ?? 0 }
}

const anyButRemoved = [
  'lingering',
  'stopping',
  'cancelling',
  'removing',
  'starting',
  'pulling',
  'running',
]

function findActor(supervisor: Supervisor, id: string): ReplicaActor {
  if (id === '') throw new CloudlessError('invalid_argument', 'container_id: must be given')
  const actor = supervisor.find(id) ?? supervisor.find(adHocPrefix + id)
  if (actor !== undefined) return actor
  throw new CloudlessError('not_found', `there is no container "${id}" on this node`)
}

function runningActor(supervisor: Supervisor, id: string): ReplicaActor {
  const actor = findActor(supervisor, id)
  if (actor.state.stage === 'running') return actor
  const why = actor.state.message === '' ? actor.state.stage : actor.state.message
  throw new CloudlessError('failed_precondition', `the container "${id}" does not run: ${why}`)
}

async function usageOf(runtime: Runtime, containerId: string) {
  return (await runtime.usage()).find(
    (usage) => usage.containerId === containerId || usage.replicaId === containerId,
  )
}

/** Progress as it comes; a slow reader sees fewer steps, never stale ones. */
async function* pullImage(
  runtime: Runtime,
  image: string,
  signal: AbortSignal,
): AsyncIterable<PullImageResponse> {
  if (image === '') throw new CloudlessError('invalid_argument', 'image: must be given')
  let newest: PullProgress | undefined
  let wake = (): void => {}
  const pulled = runtime.pull(image, {
    policy: ImagePullPolicy.ALWAYS,
    signal,
    onProgress: (progress) => {
      newest = progress
      wake()
    },
  })
  const state = { over: false }
  const outcome = pulled.finally(() => {
    state.over = true
    wake()
  })
  outcome.catch(() => undefined) // Thrown by the await at the end.
  while (!state.over) {
    if (newest === undefined) await new Promise<void>((resolve) => (wake = resolve))
    const progress = newest
    newest = undefined
    if (progress !== undefined && progress.phase !== 'done') yield progressOf(progress)
  }
  yield create(PullImageResponseSchema, { phase: 'done', done: true, digest: await outcome })
}

function progressOf(progress: PullProgress): PullImageResponse {
  const { phase, bytesDone, bytesTotal, digest } = progress
  return create(PullImageResponseSchema, {
    phase,
    bytesDone: BigInt(bytesDone),
    bytesTotal: BigInt(bytesTotal),
    digest,
  })
}
