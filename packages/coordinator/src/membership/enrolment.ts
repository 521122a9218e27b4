/**
 * How a device becomes a member: a join token's use is counted, its name is claimed, its subnet is given and its
 * certificate recorded, all in one transaction, so that a crash between any two lines leaves a member or nothing.
 */
import { create } from '@bufbuild/protobuf'
import {
  EnrollNodeResponseSchema,
  NodePhase,
  NodeRecordSchema,
  NodeSchema,
  NodeStatusSchema,
  RemovedNodeRecordSchema,
  type EnrollNodeRequest,
  type EnrollNodeResponse,
  type JoinTokenRecord,
  type NodeRecord,
} from '@cloudless/api'
import {
  CloudlessError,
  problemWithLabel,
  randomId,
  type Clock,
  type Random,
} from '@cloudless/base'
import {
  verifyJoinToken,
  type CertificateAuthority,
  type IssuedCertificate,
} from '@cloudless/identity'
import type { Precondition, Write } from '@cloudless/metadata'
import {
  absent,
  deleteRecord,
  putRecord,
  unchanged,
  type ClusterState,
  type Decision,
  type Held,
} from '../state/cluster-state.ts'
import { rememberNothing, type Remember } from '../state/remember.ts'
import { nodeNameKey, nodeSubnetKey } from '../state/records.ts'
import { recordsPerTransactionMax } from '../state/transaction-limits.ts'
import { problemsOfLabels, problemsOfTaints } from './node-validation.ts'
import { allocateSubnet, type SubnetPlan } from './subnets.ts'

export interface EnrolmentDeps {
  readonly state: ClusterState
  readonly authority: CertificateAuthority
  readonly clock: Clock
  readonly random: Random
  /** Whether the node is known to be gone, so that its name may be taken over. */
  readonly isGone: (node: NodeRecord) => boolean
}

export interface EnrolmentOptions {
  readonly certificateLifetimeMs: number
  /** How long a removed or replaced node's certificates are remembered as refused. */
  readonly rejoinWindowMs: number
  readonly heartbeatIntervalMs: number
  readonly subnets: SubnetPlan
}

export interface Enrolled {
  readonly response: EnrollNodeResponse
  readonly node: NodeRecord
  readonly token: JoinTokenRecord
  /** The node whose name was taken over, if any. */
  readonly replacedNodeId: string | undefined
}

export async function enrollNode(
  deps: EnrolmentDeps,
  options: EnrolmentOptions,
  request: EnrollNodeRequest,
  remember: Remember<EnrollNodeResponse> = rememberNothing,
): Promise<Enrolled> {
  const problem = problemOf(request)
  if (problem) throw new CloudlessError('invalid_argument', problem)
  const verdict = await verifyJoinToken(deps.authority.tokenKey, request.token, deps.clock.wallMs())
  if (verdict.kind === 'invalid') throw new CloudlessError('unauthenticated', verdict.message)
  const { tokenId } = verdict.claims

  const nodeId = `node-${randomId(deps.random, 12)}`
  const certificate = await deps.authority.issue({
    csrPem: request.csrPem,
    spiffeId: { trustDomain: deps.authority.trustDomain, type: 'node', id: nodeId },
    dnsNames: [request.nodeName],
    lifetimeMs: options.certificateLifetimeMs,
  })
  const enrolled = await deps.state.update(() => {
    const token = usableToken(deps.state.held('token', tokenId), deps.clock.wallMs(), tokenId)
    checkScope(token.record, request)
    return decide(deps, options, { request, nodeId, certificate, token, remember })
  })
  return enrolled!
}

/** What is wrong with what the device says of itself; undefined when it will do. */
function problemOf({ nodeName, labels, taints }: EnrollNodeRequest): string | undefined {
  const name = problemWithLabel(nodeName)
  if (name) return `node_name: ${name}`
  return problemsOfLabels('labels', labels) ?? problemsOfTaints('taints', taints)
}

interface Attempt {
  readonly request: EnrollNodeRequest
  readonly nodeId: string
  readonly certificate: IssuedCertificate
  readonly token: Held<JoinTokenRecord>
  readonly remember: Remember<EnrollNodeResponse>
}

function decide(
  deps: EnrolmentDeps,
  options: EnrolmentOptions,
  { request, nodeId, certificate, token, remember }: Attempt,
): Decision<Enrolled> {
  const nowMs = deps.clock.wallMs()
  const namesake = deps.state.findNode(request.nodeName)
  if (namesake && !deps.isGone(namesake.record)) {
    throw new CloudlessError(
      'already_exists',
      `a node named "${request.nodeName}" is a member and alive (${namesake.id}): ` +
        'give this one another name, or remove that one with `cloudlessctl node remove`',
    )
  }
  if (namesake && namesake.record.node!.name !== request.nodeName) {
    throw new CloudlessError(
      'already_exists',
      `"${request.nodeName}" is the id of another node: give this one another name`,
    )
  }
  const nodes = [...deps.state.all('node')]
  const podCidr = allocateSubnet(
    options.subnets,
    new Set(nodes.map((node) => node.record.node!.podCidr)),
  )
  const record = newNode(request, token.record, { nodeId, certificate, nowMs, podCidr })
  const response = create(EnrollNodeResponseSchema, {
    nodeId,
    certificate: certificate.certificatePem,
    caCertificate: deps.authority.certificatePem,
    heartbeatIntervalMs: BigInt(options.heartbeatIntervalMs),
    node: record.node!,
  })
  const used = usedOnce(token.record, request.nodeName)
  const preconditions: Precondition[] = [
    ...remember.preconditions,
    unchanged('token', token),
    absent('node', nodeId),
    namesake ? unchanged('node', namesake) : { kind: 'absent', key: nodeNameKey(request.nodeName) },
    { kind: 'absent', key: nodeSubnetKey(podCidr) },
  ]
  const writes: Write[] = [
    putRecord('token', token.id, used),
    putRecord('node', nodeId, record),
    { kind: 'put', key: nodeNameKey(request.nodeName), value: new TextEncoder().encode(nodeId) },
    { kind: 'put', key: nodeSubnetKey(podCidr), value: new TextEncoder().encode(nodeId) },
    ...(namesake ? removalWrites(deps.state, namesake, nowMs, options.rejoinWindowMs) : []),
    ...remember.writes(response),
  ]
  const result = { response, node: record, token: used, replacedNodeId: namesake?.id }
  return { preconditions, writes, result }
}

/**
 * Everything that ends a membership but the name's claim: the record, its replicas', its subnet's claim, and a mark that
 * keeps its certificates refused for as long as one could still be shown.
 */
export function removalWrites(
  state: ClusterState,
  node: Held<NodeRecord>,
  nowMs: number,
  rejoinWindowMs: number,
): Write[] {
  const expiresAtMs = node.record.node!.certificateExpiresAtMs + BigInt(rejoinWindowMs)
  return [
    deleteRecord('node', node.id),
    { kind: 'delete', key: nodeSubnetKey(node.record.node!.podCidr) },
    putRecord(
      'removed',
      node.id,
      create(RemovedNodeRecordSchema, {
        nodeId: node.id,
        name: node.record.node!.name,
        removedAtMs: BigInt(nowMs),
        expiresAtMs,
      }),
    ),
    // The node controller forgets what one transaction does not take.
    ...state
      .replicasOnNode(node.id)
      .slice(0, recordsPerTransactionMax)
      .map((replica) => deleteRecord('replica', replica.id)),
  ]
}

function usableToken(
  token: Held<JoinTokenRecord> | undefined,
  nowMs: number,
  tokenId: string,
): Held<JoinTokenRecord> {
  const make = 'make another with `cloudlessctl token create`'
  if (!token) {
    throw new CloudlessError('unauthenticated', `the join token ${tokenId} is not known: ${make}`)
  }
  const { revoked, uses, maxUses, expiresAtMs, usedBy } = token.record.joinToken!
  if (revoked) {
    throw new CloudlessError('unauthenticated', `the join token ${tokenId} was revoked: ${make}`)
  }
  if (Number(expiresAtMs) <= nowMs) {
    throw new CloudlessError('unauthenticated', `the join token ${tokenId} has expired: ${make}`)
  }
  if (uses >= maxUses) {
    throw new CloudlessError(
      'unauthenticated',
      `the join token ${tokenId} is used up (${uses} of ${maxUses}, last by ${usedBy.at(-1)}): ${make}`,
    )
  }
  return token
}

function checkScope(token: JoinTokenRecord, request: EnrollNodeRequest): void {
  const { nodeName, region, zone, id } = token.joinToken!
  const scopes = [
    ['node name', nodeName, request.nodeName],
    ['region', region, request.region || region],
    ['zone', zone, request.zone || zone],
  ] as const
  for (const [what, scope, asked] of scopes) {
    if (scope === '' || scope === asked) continue
    throw new CloudlessError(
      'permission_denied',
      `the join token ${id} is only for ${what} "${scope}", not "${asked}"`,
    )
  }
}

/** Names of users kept on a token; enough to see who, bounded for a token of 10,000 uses. */
const usersKeptMax = 100

function usedOnce(token: JoinTokenRecord, nodeName: string): JoinTokenRecord {
  const joinToken = token.joinToken!
  const usedBy = [...joinToken.usedBy, nodeName].slice(-usersKeptMax)
  return { ...token, joinToken: { ...joinToken, uses: joinToken.uses + 1, usedBy } }
}

interface NewNodeFacts {
  readonly nodeId: string
  readonly certificate: IssuedCertificate
  readonly nowMs: number
  readonly podCidr: string
}

function newNode(
  request: EnrollNodeRequest,
  token: JoinTokenRecord,
  { nodeId, certificate, nowMs, podCidr }: NewNodeFacts,
): NodeRecord {
  const { region, zone } = token.joinToken!
  const node = create(NodeSchema, {
    id: nodeId,
    name: request.nodeName,
    region: region || request.region,
    zone: zone || request.zone,
    labels: request.labels,
    taints: request.taints,
    podCidr,
    agentVersion: request.agentVersion,
    reliabilityScore: 1,
    createdAtMs: BigInt(nowMs),
    certificateExpiresAtMs: BigInt(certificate.notAfterMs),
    status: create(NodeStatusSchema, {
      phase: NodePhase.ENROLLING,
      message: 'enrolled; its agent has not connected yet',
      lastTransitionMs: BigInt(nowMs),
    }),
    ...(request.capabilities && { capabilities: request.capabilities }),
    ...(request.capacity && { capacity: request.capacity }),
    ...((request.allocatable ?? request.capacity) && {
      allocatable: request.allocatable ?? request.capacity!,
    }),
  })
  return create(NodeRecordSchema, {
    node,
    certificateSerials: [certificate.serial],
    publicKeyFingerprint: certificate.publicKeyFingerprint,
  })
}
