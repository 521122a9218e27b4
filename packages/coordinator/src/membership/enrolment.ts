/**
 * How a device becomes a member: a join token's use is counted, its name is claimed, its subnet is given and its
 * certificate recorded, all in one transaction, so that a crash between any two lines leaves a member or nothing.
 *
 * Devices that come together are decided together, one after another, and share that transaction: each on its own would
 * be refused for the token that the one before it has used.
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
import { CommittedTogether, type Draft } from '../state/committed-together.ts'
import { Subnets, type SubnetPlan } from './subnets.ts'
import { usableToken, usedOnce } from './usable-token.ts'

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

export class Enrolments {
  readonly #deps: EnrolmentDeps
  readonly #options: EnrolmentOptions
  readonly #together: CommittedTogether<Attempt, Enrolled>

  constructor(deps: EnrolmentDeps, options: EnrolmentOptions) {
    this.#deps = deps
    this.#options = options
    const subnets = new Subnets(options.subnets)
    this.#together = new CommittedTogether(
      deps.state,
      () => new EnrolmentDraft(deps, options, subnets),
    )
  }

  /** Makes a member of the device, or throws why it cannot be one. */
  async enroll(
    request: EnrollNodeRequest,
    remember: Remember<EnrollNodeResponse> = rememberNothing,
  ): Promise<Enrolled> {
    const { authority, clock, random } = this.#deps
    const problem = problemOf(request)
    if (problem) throw new CloudlessError('invalid_argument', problem)
    const verdict = await verifyJoinToken(authority.tokenKey, request.token, clock.wallMs())
    if (verdict.kind === 'invalid') throw new CloudlessError('unauthenticated', verdict.message)
    const { tokenId } = verdict.claims

    const nodeId = `node-${randomId(random, 12)}`
    const certificate = await authority.issue({
      csrPem: request.csrPem,
      spiffeId: { trustDomain: authority.trustDomain, type: 'node', id: nodeId },
      dnsNames: [request.nodeName],
      lifetimeMs: this.#options.certificateLifetimeMs,
    })
    return this.#together.commit({ request, nodeId, certificate, tokenId, remember })
  }
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
  readonly tokenId: string
  readonly remember: Remember<EnrollNodeResponse>
}

/** Enrolments decided for one transaction, each on top of those before it. */
class EnrolmentDraft implements Draft<Attempt, Enrolled> {
  readonly #deps: EnrolmentDeps
  readonly #options: EnrolmentOptions
  readonly #nowMs: number
  readonly #subnets: Subnets
  readonly #subnetsGiven = new Set<string>()
  /** As they will be, by id. */
  readonly #tokens = new Map<
    string,
    { readonly held: Held<JoinTokenRecord>; used: JoinTokenRecord }
  >()
  readonly #nodeIdByName = new Map<string, string>()
  readonly #preconditions: Precondition[] = []
  readonly #writes: Write[] = []

  constructor(deps: EnrolmentDeps, options: EnrolmentOptions, subnets: Subnets) {
    this.#deps = deps
    this.#options = options
    this.#subnets = subnets
    this.#nowMs = deps.clock.wallMs()
  }

  get bytes(): number {
    let bytes = 0
    for (const write of this.#writes) if (write.kind === 'put') bytes += write.value.byteLength
    return bytes
  }

  get decision(): Omit<Decision<never>, 'result'> {
    const tokens = [...this.#tokens.values()]
    return {
      preconditions: [
        ...tokens.map(({ held }) => unchanged('token', held)),
        ...this.#preconditions,
      ],
      writes: [
        ...tokens.map(({ held, used }) => putRecord('token', held.id, used)),
        ...this.#writes,
      ],
    }
  }

  /** Who takes over a name takes replicas out as well, perhaps as many as a transaction holds. */
  mustBeAlone({ request }: Attempt): boolean {
    return this.#deps.state.findNode(request.nodeName) !== undefined
  }

  add({ request, nodeId, certificate, tokenId, remember }: Attempt): Enrolled {
    const { state, authority } = this.#deps
    const nowMs = this.#nowMs
    const held = this.#tokens.get(tokenId)?.held ?? state.held('token', tokenId)
    const known = this.#tokens.get(tokenId)?.used ?? held?.record
    const token = usableToken(known, { nowMs, tokenId, purpose: 'node' })
    checkScope(token, request)
    const namesake = this.#namesakeOf(request.nodeName)
    const podCidr = this.#subnets.next(
      (subnet) => this.#subnetsGiven.has(subnet) || state.isSubnetTaken(subnet),
    )
    const node = newNode(request, token, { nodeId, certificate, nowMs, podCidr })
    const response = create(EnrollNodeResponseSchema, {
      nodeId,
      certificate: certificate.certificatePem,
      caCertificate: authority.certificatePem,
      heartbeatIntervalMs: BigInt(this.#options.heartbeatIntervalMs),
      node: node.node!,
    })
    const used = usedOnce(token, request.nodeName)
    const nameKey = nodeNameKey(request.nodeName)
    const subnetKey = nodeSubnetKey(podCidr)
    const ownId = new TextEncoder().encode(nodeId)
    this.#tokens.set(tokenId, { held: held!, used })
    this.#nodeIdByName.set(request.nodeName, nodeId)
    this.#subnetsGiven.add(podCidr)
    this.#preconditions.push(
      ...remember.preconditions,
      absent('node', nodeId),
      namesake ? unchanged('node', namesake) : { kind: 'absent', key: nameKey },
      { kind: 'absent', key: subnetKey },
    )
    this.#writes.push(
      putRecord('node', nodeId, node),
      { kind: 'put', key: nameKey, value: ownId },
      { kind: 'put', key: subnetKey, value: ownId },
      ...(namesake ? removalWrites(state, namesake, nowMs, this.#options.rejoinWindowMs) : []),
      ...remember.writes(response),
    )
    return { response, node, token: used, replacedNodeId: namesake?.id }
  }

  /** The node that is gone and whose name is taken over, if any; throws when the name is not to be had. */
  #namesakeOf(name: string): Held<NodeRecord> | undefined {
    const namesake = this.#deps.state.findNode(name)
    const aliveId =
      this.#nodeIdByName.get(name) ??
      (namesake && !this.#deps.isGone(namesake.record) ? namesake.id : undefined)
    if (aliveId !== undefined) {
      throw new CloudlessError(
        'already_exists',
        `a node named "${name}" is a member and alive (${aliveId}): ` +
          'give this one another name, or remove that one with `cloudlessctl node remove`',
      )
    }
    if (namesake && namesake.record.node!.name !== name) {
      throw new CloudlessError(
        'already_exists',
        `"${name}" is the id of another node: give this one another name`,
      )
    }
    return namesake
  }
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
