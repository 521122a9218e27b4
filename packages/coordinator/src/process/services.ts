/** The RPC services of the coordinator: each method of the contract to the handler that does it. */
import { create } from '@bufbuild/protobuf'
import { CoordinatorService, HeartbeatResponseSchema, type HeartbeatRequest } from '@cloudless/api'
import { NetworkService, SecretsService, StorageService } from '@cloudless/api/services'
import { assert } from '@cloudless/base'
import type { MemberIdentity } from '@cloudless/identity'
import type { HandlerContext } from '@connectrpc/connect'
import type { Call } from '../api/call.ts'
import type { clusterHandlers } from '../api/cluster-handlers.ts'
import type { eventHandlers } from '../api/event-handlers.ts'
import type { nodeHandlers } from '../api/node-handlers.ts'
import type { scheduleHandlers } from '../api/schedule-handlers.ts'
import type { tokenHandlers } from '../api/token-handlers.ts'
import type { workloadHandlers } from '../api/workload-handlers.ts'
import { enrollNode, type EnrolmentDeps, type EnrolmentOptions } from '../membership/enrolment.ts'
import type { LiveNodes } from '../membership/live-nodes.ts'
import { renewCertificate } from '../membership/renewal.ts'
import { assignmentOf, shouldRun } from '../membership/session-outbox.ts'
import type { Sessions } from '../membership/sessions.ts'
import { callContextOf } from '../server/call-context.ts'
import { idempotencyKeyOf, type Idempotency } from '../server/idempotency.ts'
import { serve, type ServedService } from '../server/rpc-handler.ts'
import type { ClusterState } from '../state/cluster-state.ts'
import type { Observed } from './observed.ts'

export interface ServicesDeps {
  readonly state: ClusterState
  readonly liveNodes: LiveNodes
  readonly sessions: Sessions
  readonly idempotency: Idempotency
  readonly observed: Observed
  readonly enrolment: EnrolmentDeps
  readonly enrolmentOptions: EnrolmentOptions
  readonly nodes: ReturnType<typeof nodeHandlers>
  readonly workloads: ReturnType<typeof workloadHandlers>
  readonly tokens: ReturnType<typeof tokenHandlers>
  readonly schedule: ReturnType<typeof scheduleHandlers>
  readonly cluster: ReturnType<typeof clusterHandlers>
  readonly events: ReturnType<typeof eventHandlers>
}

export function coordinatorServices(deps: ServicesDeps): ServedService[] {
  const { nodes, workloads, tokens, schedule, cluster, events } = deps
  const methods = CoordinatorService.method

  /** Runs a create under its idempotency key; its answer is stored in the create's own transaction. */
  function once<Method extends (typeof methods)[keyof typeof methods]>(
    method: Method,
    request: Parameters<Idempotency['run']>[0]['request'] & { readonly idempotencyKey: string },
    context: HandlerContext,
    client?: string,
  ) {
    const key = idempotencyKeyOf(request, context)
    const call = { method, request, key, client: client ?? callContextOf(context).clientName }
    return (act: Parameters<Idempotency['run']>[1]) => deps.idempotency.run(call as never, act)
  }

  return [
    serve(CoordinatorService, {
      async enrollNode(request, context) {
        return (await once(
          methods.enrollNode,
          request,
          context,
          'join-token',
        )(async (claim) => {
          const enrolled = await enrollNode(
            deps.enrolment,
            deps.enrolmentOptions,
            request,
            claim as never,
          ).catch((reason: unknown) => {
            deps.observed.enrolmentRefused(request.nodeName, reason)
            throw reason
          })
          deps.observed.enrolled(enrolled)
          return enrolled.response
        })) as never
      },
      async renewCertificate(request, context) {
        const call = callOf(context)
        const renewed = await renewCertificate(
          deps.enrolment,
          deps.enrolmentOptions,
          requirePeer(call),
          request.csrPem,
        )
        call.extendConnection(Number(renewed.response.expiresAtMs), renewed.serial)
        deps.observed.renewed(renewed)
        return renewed.response
      },
      session: (incoming, context) =>
        deps.sessions.serve(requirePeer(callOf(context)).id, incoming, context.signal),
      heartbeat: (request) => heartbeat(deps, request),

      getNode: nodes.getNode,
      listNodes: nodes.listNodes,
      watchNodes: (request, context) => nodes.watchNodes(request, callOf(context)),
      drainNode: nodes.drainNode,
      cordonNode: nodes.cordonNode,
      uncordonNode: nodes.uncordonNode,
      removeNode: nodes.removeNode,
      updateNode: nodes.updateNode,

      createWorkload: async (request, context) =>
        (await once(
          methods.createWorkload,
          request,
          context,
        )((claim) => workloads.createWorkload(request, claim as never))) as never,
      updateWorkload: (request) => workloads.updateWorkload(request),
      applyWorkload: async (request, context) =>
        (await once(
          methods.applyWorkload,
          request,
          context,
        )(() => workloads.applyWorkload(request))) as never,
      deleteWorkload: workloads.deleteWorkload,
      getWorkload: workloads.getWorkload,
      listWorkloads: workloads.listWorkloads,
      watchWorkloads: (request, context) => workloads.watchWorkloads(request, callOf(context)),
      scaleWorkload: workloads.scaleWorkload,
      restartWorkload: workloads.restartWorkload,
      listReplicas: workloads.listReplicas,

      schedule: schedule.schedule,
      reschedule: schedule.reschedule,

      createJoinToken: async (request, context) =>
        (await once(
          methods.createJoinToken,
          request,
          context,
        )((claim) => tokens.createJoinToken(request, claim as never))) as never,
      listJoinTokens: tokens.listJoinTokens,
      revokeJoinToken: tokens.revokeJoinToken,

      getClusterStatus: cluster.getClusterStatus,
      listEvents: events.listEvents,
      watchEvents: (request, context) => events.watchEvents(request, callOf(context)),
    }),
    serve(StorageService, {}),
    serve(NetworkService, {}),
    serve(SecretsService, {}),
  ]
}

function heartbeat({ state, liveNodes }: ServicesDeps, request: HeartbeatRequest) {
  liveNodes.heartbeat(request.nodeId, request)
  const replicas = state.replicasOnNode(request.nodeId).map((held) => held.record)
  return create(HeartbeatResponseSchema, {
    assignments: replicas.filter(shouldRun).map(assignmentOf),
    containersToStop: replicas.filter((r) => !shouldRun(r)).map((r) => r.status!.id),
    nextHeartbeatMs: BigInt(liveNodes.heartbeatIntervalMs),
  })
}

function callOf(context: HandlerContext): Call {
  const { peer, connection } = callContextOf(context)
  return {
    peer: peer.kind === 'member' ? peer : undefined,
    signal: context.signal,
    extendConnection: (notAfterMs, serial) => connection.extendExpiry(notAfterMs, serial),
  }
}

/** The table of rights lets nobody else so far. */
function requirePeer(call: Call): MemberIdentity {
  assert(call.peer, 'the call was let through without a certificate')
  return call.peer
}
