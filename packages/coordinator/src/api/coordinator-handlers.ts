/** CoordinatorService's calls about the coordinators themselves. */
import { create } from '@bufbuild/protobuf'
import { EmptySchema } from '@bufbuild/protobuf/wkt'
import {
  JoinCoordinatorResponseSchema,
  ListCoordinatorsResponseSchema,
  TransferLeadershipResponseSchema,
  type ClusterRecord,
  type Coordinator,
  type JoinCoordinatorRequest,
  type RemoveCoordinatorRequest,
  type TransferLeadershipRequest,
} from '@cloudless/api'
import { CloudlessError, parseAddress, problemWithLabel, type Clock } from '@cloudless/base'
import { verifyJoinToken, type CaFiles, type CertificateAuthority } from '@cloudless/identity'
import { usableToken, usedOnce } from '../membership/usable-token.ts'
import type { OtherCoordinators } from '../raft/other-coordinators.ts'
import type { Recover } from '../raft/recovery.ts'
import type { RaftGroup } from '../raft/raft-group.ts'
import { requireAlone } from '../raft/require-alone.ts'
import { deleteRecord, putRecord, unchanged, type ClusterState } from '../state/cluster-state.ts'

export interface CoordinatorHandlersDeps {
  readonly state: ClusterState
  readonly clock: Clock
  readonly authority: CertificateAuthority
  readonly cluster: ClusterRecord
  /** What makes another coordinator a certificate authority of the cluster. */
  readonly caFiles: () => CaFiles
  /** Of the one that answers. */
  readonly coordinatorId: string
  readonly describe: () => Coordinator
  readonly recover: Recover
  /** Undefined with SQLite: there is one coordinator. */
  readonly group: RaftGroup | undefined
  readonly others: Pick<OtherCoordinators, 'describe'>
  /** This coordinator's settings say that it is one of several. */
  readonly isToldOfRaft: boolean
  /** `failed_precondition`, with what to do, when this machine has no etcd that will do. */
  readonly requireEtcd: () => Promise<void>
  /** Soon afterwards this coordinator ends and begins anew with its metadata there. */
  readonly wantEngine: (kind: 'sqlite' | 'etcd') => void
  /** Soon after it resolves, another coordinator leads. */
  readonly handOver: (successorId: string) => Promise<void>
  readonly onChanged: (coordinatorId: string, action: CoordinatorAction) => void
}

/** Whoever asked is answered first. */
const farewellMs = 50

export type CoordinatorAction = 'join' | 'remove'

export function coordinatorHandlers(deps: CoordinatorHandlersDeps) {
  const { state, authority, cluster, coordinatorId } = deps

  const listCoordinators = async (): Promise<Coordinator[]> => {
    const others = [...state.all('coordinator')]
      .map(({ record }) => record)
      .filter(({ id }) => id !== coordinatorId)
    const all = await Promise.all([
      deps.describe(),
      ...others.map((record) => deps.others.describe(record)),
    ])
    return all.toSorted((a, b) => (a.id < b.id ? -1 : 1))
  }

  return {
    async joinCoordinator(request: JoinCoordinatorRequest) {
      requireValidJoin(request)
      const group = requireGroup(deps.group)
      const tokenId = await knownToken(deps, request.token)
      const { coordinatorId: id, raftAddress } = request
      await useToken(deps, tokenId, id)
      const members = await group.admit({ id, raftAddress })
      deps.onChanged(id, 'join')
      const { keyPem, certificatePem, tokenKey } = deps.caFiles()
      return create(JoinCoordinatorResponseSchema, {
        clusterId: cluster.clusterId,
        trustDomain: authority.trustDomain,
        caCertificate: certificatePem,
        caKey: keyPem,
        tokenKey,
        members: members.map(({ name, peerAddress, ...member }) => ({
          ...member,
          coordinatorId: name,
          raftAddress: peerAddress,
        })),
      })
    },

    async listCoordinators() {
      return create(ListCoordinatorsResponseSchema, { coordinators: await listCoordinators() })
    },

    describeCoordinator: deps.describe,
    recoverCoordinator: deps.recover,

    async removeCoordinator({ coordinatorId: id }: RemoveCoordinatorRequest) {
      const group = requireGroup(deps.group)
      if (id === coordinatorId) {
        throw new CloudlessError(
          'failed_precondition',
          `"${id}" leads: let another lead first with \`cloudlessctl cluster transfer-leader\``,
        )
      }
      await group.remove(id)
      await state.write({ writes: [deleteRecord('coordinator', id)] })
      deps.onChanged(id, 'remove')
      return create(EmptySchema)
    },

    async promoteCluster() {
      if (deps.group !== undefined) {
        throw new CloudlessError(
          'failed_precondition',
          'this cluster has its metadata in a RAFT group already: let coordinators join with ' +
            '`cloudlessctl token create --for-coordinator`',
        )
      }
      await deps.requireEtcd()
      deps.clock.after(farewellMs, () => deps.wantEngine('etcd'))
      return create(EmptySchema)
    },

    async demoteCluster() {
      requireAlone(await requireGroup(deps.group).members(), coordinatorId)
      if (deps.isToldOfRaft) {
        throw new CloudlessError(
          'failed_precondition',
          `"${coordinatorId}" was started with --raft-bootstrap, --join or --token, and would not start with SQLite: ` +
            'start it once without them, then try again',
        )
      }
      deps.clock.after(farewellMs, () => deps.wantEngine('sqlite'))
      return create(EmptySchema)
    },

    async transferLeadership({ coordinatorId: asked }: TransferLeadershipRequest) {
      requireGroup(deps.group)
      const successor = chooseSuccessor(await listCoordinators(), coordinatorId, asked)
      await deps.handOver(successor)
      return create(TransferLeadershipResponseSchema, { coordinatorId: successor })
    },
  }
}

function requireValidJoin({ coordinatorId, raftAddress }: JoinCoordinatorRequest): void {
  const label = problemWithLabel(coordinatorId)
  if (label) throw new CloudlessError('invalid_argument', `coordinator_id: ${label}`)
  const address = parseAddress(raftAddress)
  if (!address || address.host === '' || address.port === 0) {
    throw new CloudlessError('invalid_argument', `raft_address: "${raftAddress}" is no host:port`)
  }
}

function requireGroup(group: RaftGroup | undefined): RaftGroup {
  if (group !== undefined) return group
  throw new CloudlessError(
    'failed_precondition',
    'this cluster has one coordinator, which keeps its metadata in SQLite: no other can join it',
  )
}

/** Its id. */
async function knownToken(
  { authority, clock }: CoordinatorHandlersDeps,
  token: string,
): Promise<string> {
  const verdict = await verifyJoinToken(authority.tokenKey, token, clock.wallMs())
  if (verdict.kind === 'invalid') throw new CloudlessError('unauthenticated', verdict.message)
  return verdict.claims.tokenId
}

/** One that asks again after a crash has used it already. */
async function useToken(
  { state, clock }: CoordinatorHandlersDeps,
  tokenId: string,
  coordinatorId: string,
): Promise<void> {
  await state.update(() => {
    const held = state.held('token', tokenId)
    if (held?.record.joinToken!.usedBy.includes(coordinatorId)) {
      return { preconditions: [unchanged('token', held)], writes: [], result: undefined }
    }
    const asked = { nowMs: clock.wallMs(), tokenId, purpose: 'coordinator' } as const
    const token = usableToken(held?.record, asked)
    return {
      preconditions: [unchanged('token', held!)],
      writes: [putRecord('token', tokenId, usedOnce(token, coordinatorId))],
      result: undefined,
    }
  })
}

function chooseSuccessor(all: readonly Coordinator[], own: string, asked: string): string {
  if (asked === own) {
    throw new CloudlessError('failed_precondition', `"${asked}" leads already`)
  }
  const others = all.filter(({ id }) => id !== own && (asked === '' || id === asked))
  const ready = others.find(
    ({ problem, raft }) => problem === '' && raft?.member?.isLearner === false,
  )
  if (ready !== undefined) return ready.id
  if (asked !== '' && others.length === 0) {
    throw new CloudlessError(
      'not_found',
      `there is no coordinator "${asked}"; \`cloudlessctl cluster members\` shows them`,
    )
  }
  const why = others
    .map(({ id, problem }) => `${id}: ${problem || 'it has no vote yet'}`)
    .join('; ')
  throw new CloudlessError(
    'failed_precondition',
    `no other coordinator can lead now${why && ` (${why})`}`,
  )
}
