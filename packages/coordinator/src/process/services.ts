/** The RPC services of the coordinator: each method of the contract to the handler that does it. */
import {
  create,
  type DescMethod,
  type MessageInitShape,
  type MessageShape,
} from '@bufbuild/protobuf'
import {
  CoordinatorService,
  HeartbeatResponseSchema,
  type EnrollNodeRequest,
  type EnrollNodeResponse,
  type HeartbeatRequest,
} from '@cloudless/api'
import { NetworkService, SecretsService, StorageService } from '@cloudless/api/services'
import { assert } from '@cloudless/base'
import type { MemberIdentity } from '@cloudless/identity'
import type { HandlerContext } from '@connectrpc/connect'
import type { Call } from '../api/call.ts'
import { Enrolments, type EnrolmentDeps, type EnrolmentOptions } from '../membership/enrolment.ts'
import type { LiveNodes } from '../membership/live-nodes.ts'
import { renewCertificate } from '../membership/renewal.ts'
import { assignmentOf, shouldRun } from '../membership/session-outbox.ts'
import type { Sessions } from '../membership/sessions.ts'
import { callContextOf } from '../server/call-context.ts'
import { idempotencyKeyOf, type Idempotency, type IdempotencyClaim } from '../server/idempotency.ts'
import { serve, type ServedService } from '../server/rpc-handler.ts'
import type { ClusterState } from '../state/cluster-state.ts'
import type { Handlers } from './handlers.ts'
import type { Observed } from './observed.ts'

export interface ServicesDeps {
  readonly state: ClusterState
  readonly liveNodes: LiveNodes
  readonly sessions: Sessions
  readonly idempotency: Idempotency
  readonly observed: Observed
  readonly enrolment: EnrolmentDeps
  readonly enrolmentOptions: EnrolmentOptions
  readonly handlers: Handlers
}

export function coordinatorServices(deps: ServicesDeps): ServedService[] {
  const { nodes, workloads, tokens, schedule, cluster, events } = deps.handlers
  const { backups, coordinators, crons, explain, simulate, pool, scheduler } = deps.handlers
  const methods = CoordinatorService.method
  const enrolments = new Enrolments(deps.enrolment, deps.enrolmentOptions)

  /** Runs a change under its idempotency key; its answer is stored in the change's own transaction. */
  function once<Method extends DescMethod>(
    method: Method,
    request: MessageShape<Method['input']> & { readonly idempotencyKey: string },
    context: HandlerContext,
    act: (claim: IdempotencyClaim<Method>) => Promise<MessageInitShape<Method['output']>>,
  ): Promise<MessageInitShape<Method['output']>> {
    const key = idempotencyKeyOf(request, context)
    const { clientName } = callContextOf(context)
    return deps.idempotency.run({ method, request, key, client: clientName }, act)
  }

  return [
    serve(CoordinatorService, {
      enrollNode: (request, context) => {
        // Strangers have no name of their own; who has the key and the same request has the token and the CSR.
        const client = 'join-token'
        const key = idempotencyKeyOf(request, context)
        const call = { method: methods.enrollNode, request, key, client }
        return deps.idempotency.run(call, (claim) => enroll(deps, enrolments, request, claim))
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

      createWorkload: (request, context) =>
        once(methods.createWorkload, request, context, (claim) =>
          workloads.createWorkload(request, claim),
        ),
      updateWorkload: (request, context) =>
        once(methods.updateWorkload, request, context, (claim) =>
          workloads.updateWorkload(request, claim),
        ),
      applyWorkload: (request, context) =>
        once(methods.applyWorkload, request, context, (claim) =>
          workloads.applyWorkload(request, claim),
        ),
      deleteWorkload: workloads.deleteWorkload,
      getWorkload: workloads.getWorkload,
      listWorkloads: workloads.listWorkloads,
      watchWorkloads: (request, context) => workloads.watchWorkloads(request, callOf(context)),
      scaleWorkload: workloads.scaleWorkload,
      restartWorkload: workloads.restartWorkload,
      pauseRollout: workloads.pauseRollout,
      resumeRollout: workloads.resumeRollout,
      promoteRollout: workloads.promoteRollout,
      undoRollout: workloads.undoRollout,
      listRevisions: workloads.listRevisions,
      suspendWorkload: crons.suspendWorkload,
      runWorkload: (request, context) =>
        once(methods.runWorkload, request, context, (claim) => crons.runWorkload(request, claim)),
      listReplicas: workloads.listReplicas,

      schedule: schedule.schedule,
      reschedule: schedule.reschedule,
      explainWorkload: explain.explainWorkload,
      simulateNodes: simulate.simulateNodes,
      getResourcePool: pool.getResourcePool,
      listFragments: pool.listFragments,
      getSchedulerConfiguration: scheduler.getSchedulerConfiguration,
      updateSchedulerConfiguration: (request, context) =>
        once(methods.updateSchedulerConfiguration, request, context, (claim) =>
          scheduler.updateSchedulerConfiguration(request, claim),
        ),

      createJoinToken: async (request, context) => {
        const answer = await once(methods.createJoinToken, request, context, (claim) =>
          tokens.createJoinToken(request, claim),
        )
        return tokens.withToken(create(methods.createJoinToken.output, answer))
      },
      listJoinTokens: tokens.listJoinTokens,
      revokeJoinToken: tokens.revokeJoinToken,

      joinCoordinator: coordinators.joinCoordinator,
      listCoordinators: coordinators.listCoordinators,
      describeCoordinator: coordinators.describeCoordinator,
      removeCoordinator: coordinators.removeCoordinator,
      transferLeadership: coordinators.transferLeadership,
      promoteCluster: coordinators.promoteCluster,
      demoteCluster: coordinators.demoteCluster,
      recoverCoordinator: coordinators.recoverCoordinator,

      backupCluster: (request, context) => backups.backupCluster(request, callOf(context)),

      getClusterStatus: cluster.getClusterStatus,
      listEvents: events.listEvents,
      watchEvents: (request, context) => events.watchEvents(request, callOf(context)),
    }),
    serve(StorageService, {}),
    serve(NetworkService, {}),
    serve(SecretsService, {}),
  ]
}

async function enroll(
  { observed }: ServicesDeps,
  enrolments: Enrolments,
  request: EnrollNodeRequest,
  claim: IdempotencyClaim<typeof CoordinatorService.method.enrollNode>,
): Promise<EnrollNodeResponse> {
  const enrolled = await enrolments.enroll(request, claim).catch((reason: unknown) => {
    observed.enrolmentRefused(request.nodeName, reason)
    throw reason
  })
  observed.enrolled(enrolled)
  return enrolled.response
}

function heartbeat({ state, liveNodes }: ServicesDeps, request: HeartbeatRequest) {
  liveNodes.heartbeat(request.nodeId, request)
  const replicas = state.replicasOnNode(request.nodeId).map((held) => held.record)
  return create(HeartbeatResponseSchema, {
    assignments: replicas.filter(shouldRun).map(assignmentOf),
    containersToStop: replicas.filter((r) => !shouldRun(r)).map((r) => r.status!.id),
    nextHeartbeatMs: BigInt(liveNodes.ask(request.nodeId).heartbeatIntervalMs),
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
