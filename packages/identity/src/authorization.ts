/**
 * Who may call what: the one table, for every method of every service. Pure.
 *
 *   1. A method that is not in the table may be called by nobody. (A test also fails when one is missing.)
 *   2. A node speaks only for itself: where a message names a node, it must be the caller.
 *   3. A certificate that has run out is good for one thing: a node may renew with it.
 *   4. A certificate of another CA is never better than none: it is refused everywhere.
 */
import type {
  AgentMessage,
  AgentService,
  CoordinatorService,
  GetNodeRequest,
  HeartbeatRequest,
} from '@cloudless/api'
import type { NetworkService, SecretsService, StorageService } from '@cloudless/api/services'
import type { PeerIdentity } from './peer.ts'
import type { IdentityType } from './spiffe-id.ts'

/** A kind of caller: a member by its type, a node whose certificate has run out, or nobody known. */
export type Caller = IdentityType | 'expired-node' | 'anonymous'

interface AccessRule {
  readonly callers: readonly Caller[]
  /** The node that a node's message speaks for; undefined when this message names none. */
  readonly nodeNamedBy?: (message: never) => string | undefined
}

type Rules<Service extends { readonly method: object }> = Readonly<
  Record<keyof Service['method'], AccessRule>
>

const operators: AccessRule = { callers: ['operator'] }
const operatorsAndNodes: AccessRule = { callers: ['operator', 'node'] }
const everyMember: AccessRule = {
  callers: ['operator', 'node', 'controller', 'workload', 'service'],
}
/** Operators reach an agent through the coordinator, which calls it as a controller. */
const throughCoordinator: AccessRule = { callers: ['operator', 'controller'] }

const coordinatorRules: Rules<typeof CoordinatorService> = {
  // Authenticated by the join token in the request.
  enrollNode: { callers: ['anonymous', 'operator'] },
  renewCertificate: { callers: ['node', 'expired-node'] },
  session: {
    callers: ['node'],
    nodeNamedBy: ({ message }: AgentMessage) =>
      message.case === 'hello' || message.case === 'heartbeat' ? message.value.nodeId : undefined,
  },
  heartbeat: { callers: ['node'], nodeNamedBy: (request: HeartbeatRequest) => request.nodeId },
  getNode: {
    callers: ['operator', 'node'],
    nodeNamedBy: (request: GetNodeRequest) => request.nodeId,
  },
  listNodes: operators,
  watchNodes: operators,
  drainNode: operators,
  cordonNode: operators,
  uncordonNode: operators,
  removeNode: operators,
  updateNode: operators,
  createWorkload: operators,
  updateWorkload: operators,
  applyWorkload: operators,
  deleteWorkload: operators,
  getWorkload: operators,
  listWorkloads: operators,
  watchWorkloads: operators,
  scaleWorkload: operators,
  restartWorkload: operators,
  pauseRollout: operators,
  resumeRollout: operators,
  promoteRollout: operators,
  undoRollout: operators,
  listRevisions: operators,
  suspendWorkload: operators,
  runWorkload: operators,
  listReplicas: operators,
  schedule: operators,
  reschedule: operators,
  explainWorkload: operators,
  simulateNodes: operators,
  getResourcePool: operators,
  listFragments: operators,
  getSchedulerConfiguration: operators,
  updateSchedulerConfiguration: operators,
  createJoinToken: operators,
  listJoinTokens: operators,
  revokeJoinToken: operators,
  // Authenticated by the join token in the request.
  joinCoordinator: { callers: ['anonymous', 'operator'] },
  listCoordinators: operators,
  describeCoordinator: { callers: ['operator', 'controller'] },
  removeCoordinator: operators,
  transferLeadership: operators,
  promoteCluster: operators,
  demoteCluster: operators,
  // Holds the CA's key, encrypted.
  backupCluster: operators,
  recoverCoordinator: operators,
  getClusterStatus: operators,
  listEvents: operators,
  watchEvents: operators,
}

const agentRules: Rules<typeof AgentService> = {
  runContainer: throughCoordinator,
  stopContainer: throughCoordinator,
  getContainerStatus: throughCoordinator,
  listContainers: throughCoordinator,
  streamLogs: throughCoordinator,
  execCommand: throughCoordinator,
  exec: throughCoordinator,
  reportResources: throughCoordinator,
  getFragments: throughCoordinator,
  getContainerStats: throughCoordinator,
  listImages: throughCoordinator,
  pullImage: throughCoordinator,
}

const networkRules: Rules<typeof NetworkService> = {
  createService: operators,
  getService: operatorsAndNodes,
  listServices: operatorsAndNodes,
  deleteService: operators,
  updateService: operators,
  registerEndpoint: operators,
  deregisterEndpoint: operators,
  listEndpoints: operatorsAndNodes,
  // Names an endpoint and not a node, so the table cannot tell whose it is: closed to nodes.
  updateEndpointHealth: operators,
  getLoadBalancerConfig: operatorsAndNodes,
  updateLoadBalancerConfig: operators,
  resolveService: operatorsAndNodes,
  watchServiceEndpoints: operatorsAndNodes,
}

const storageRules: Rules<typeof StorageService> = {
  createBucket: operators,
  getBucket: operators,
  listBuckets: operators,
  deleteBucket: operators,
  updateBucket: operators,
  putObject: operators,
  getObject: operators,
  headObject: operators,
  listObjects: operators,
  deleteObject: operators,
  copyObject: operators,
  createVolume: operators,
  getVolume: operators,
  listVolumes: operators,
  deleteVolume: operators,
  attachVolume: operators,
  detachVolume: operators,
  getChunkLocations: operatorsAndNodes,
  replicateChunk: { callers: ['operator', 'controller'] },
}

const secretsRules: Rules<typeof SecretsService> = {
  createSecret: operators,
  getSecret: operators,
  updateSecret: operators,
  deleteSecret: operators,
  listSecrets: operators,
  generateAccessToken: operators,
  revokeAccessToken: operators,
  validateAccessToken: operators,
  rotateMasterKey: operators,
  getMasterKeyInfo: operators,
  getSecretAuditLog: operators,
}

const rulesByService: ReadonlyMap<string, Readonly<Record<string, AccessRule>>> = new Map<
  string,
  Readonly<Record<string, AccessRule>>
>([
  ['cloudless.api.v1.CoordinatorService', coordinatorRules],
  ['cloudless.api.v1.AgentService', agentRules],
  ['cloudless.api.v1.NetworkService', networkRules],
  ['cloudless.api.v1.StorageService', storageRules],
  ['cloudless.api.v1.SecretsService', secretsRules],
  ['grpc.health.v1.Health', { check: everyMember, watch: everyMember }],
  ['grpc.reflection.v1.ServerReflection', { serverReflectionInfo: operators }],
  ['grpc.reflection.v1alpha.ServerReflection', { serverReflectionInfo: operators }],
])

/** A method as its generated descriptor gives it. */
export interface CalledMethod {
  /** Such as "createWorkload". */
  readonly localName: string
  readonly parent: { readonly typeName: string }
}

/** What is wrong with the caller's certificate, for machines. */
export type AuthenticationProblem = 'anonymous' | 'foreign' | 'expired' | 'removed' | 'revoked'

export type AccessVerdict =
  | { readonly kind: 'allowed'; readonly caller: Caller }
  /** The messages are whole sentences for the caller. */
  | {
      readonly kind: 'unauthenticated'
      readonly message: string
      readonly problem: AuthenticationProblem
    }
  | { readonly kind: 'denied'; readonly message: string }

/** The kinds of caller that may call a method; empty when the table does not know it. */
export function callersOf(method: CalledMethod): readonly Caller[] {
  return ruleOf(method)?.callers ?? []
}

/** Whether the peer may call the method at all. Ask again for each call: certificates run out. */
export function authorizeCall(peer: PeerIdentity, method: CalledMethod): AccessVerdict {
  const callers = callersOf(method)
  const allowed = (caller: Caller): AccessVerdict => ({ kind: 'allowed', caller })
  if (peer.kind === 'foreign') {
    return unauthenticated(peer.problem ?? 'foreign', `${peer.reason}.`)
  }
  if (peer.kind === 'anonymous') {
    if (callers.includes('anonymous')) return allowed('anonymous')
    return unauthenticated(
      'anonymous',
      'This call needs a client certificate issued by this cluster.',
    )
  }
  if (peer.expired) {
    if (peer.type === 'node' && callers.includes('expired-node')) return allowed('expired-node')
    const at = new Date(peer.notAfterMs).toISOString()
    const remedy = peer.type === 'node' ? 'The agent must renew it first.' : 'Get a new one.'
    return unauthenticated(
      'expired',
      `The certificate of ${peer.type} "${peer.id}" ran out at ${at}. ${remedy}`,
    )
  }
  if (callers.includes(peer.type)) return allowed(peer.type)
  const wanted = callers.length === 0 ? 'Nobody may.' : `It is for: ${callers.join(', ')}.`
  return {
    kind: 'denied',
    message: `The ${peer.type} "${peer.id}" may not call ${nameOf(method)}. ${wanted}`,
  }
}

/** Whether a message of an allowed call says only what its sender may say. Ask for each message of a stream. */
export function authorizeMessage(
  peer: PeerIdentity,
  method: CalledMethod,
  message: unknown,
): AccessVerdict {
  const verdict = authorizeCall(peer, method)
  if (verdict.kind !== 'allowed' || peer.kind !== 'member' || peer.type !== 'node') return verdict
  const named = ruleOf(method)?.nodeNamedBy?.(message as never)
  if (named === undefined || named === peer.id) return verdict
  return {
    kind: 'denied',
    message: `The node "${peer.id}" speaks only for itself, not for "${named}", in ${nameOf(method)}.`,
  }
}

function ruleOf(method: CalledMethod): AccessRule | undefined {
  const rules = rulesByService.get(method.parent.typeName)
  return rules !== undefined && Object.hasOwn(rules, method.localName)
    ? rules[method.localName]
    : undefined
}

function nameOf(method: CalledMethod): string {
  return `${method.parent.typeName}/${method.localName[0]!.toUpperCase()}${method.localName.slice(1)}`
}

function unauthenticated(problem: AuthenticationProblem, message: string): AccessVerdict {
  return { kind: 'unauthenticated', problem, message: message[0]!.toUpperCase() + message.slice(1) }
}
