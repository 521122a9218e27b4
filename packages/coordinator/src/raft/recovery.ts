/**
 * Makes this coordinator the only one there is, out of what its own RAFT member has: for when the majority is lost for good.
 *
 * The others are left out of the group for good. One that comes back with its old data is told so by this one, and ends.
 */
import { create } from '@bufbuild/protobuf'
import {
  RecoverCoordinatorResponseSchema,
  type RecoverCoordinatorRequest,
  type RecoverCoordinatorResponse,
} from '@cloudless/api'
import { CloudlessError } from '@cloudless/base'
import type { EtcdMember, MetadataStore } from '@cloudless/metadata'
import { deleteRecord, type ClusterState } from '../state/cluster-state.ts'

export interface RecoveryDeps {
  /** Undefined with SQLite. */
  readonly member: Pick<EtcdMember, 'look' | 'recover'> | undefined
  readonly coordinatorId: string
  readonly clusterId: string
  readonly state: Pick<ClusterState, 'all'>
  /** Of no term: nobody leads. */
  readonly store: Pick<MetadataStore, 'transact'>
  readonly onRecovered: (removed: readonly string[]) => void
}

export type Recover = (request: RecoverCoordinatorRequest) => Promise<RecoverCoordinatorResponse>

export function createRecovery(deps: RecoveryDeps): Recover {
  let isRunning = false
  return async (request) => {
    const member = requireSameCoordinator(deps, request)
    if (isRunning) {
      throw new CloudlessError(
        'failed_precondition',
        'this coordinator is being recovered already: `cloudlessctl cluster members` shows when it leads',
      )
    }
    isRunning = true
    try {
      if (!request.force) await requireLostMajority(member)
      const others = [...deps.state.all('coordinator')]
        .map(({ id }) => id)
        .filter((id) => id !== deps.coordinatorId)
      await member.recover()
      await deps.store.transact({ writes: others.map((id) => deleteRecord('coordinator', id)) })
      deps.onRecovered(others)
      return create(RecoverCoordinatorResponseSchema, { removed: others })
    } finally {
      isRunning = false
    }
  }
}

function requireSameCoordinator(
  { member, coordinatorId, clusterId }: RecoveryDeps,
  request: RecoverCoordinatorRequest,
): NonNullable<RecoveryDeps['member']> {
  if (member === undefined) {
    return refuse(
      'this coordinator is the only one and keeps its metadata in SQLite: there is no majority to lose',
    )
  }
  if (request.coordinatorId !== coordinatorId || request.clusterId !== clusterId) {
    return refuse(
      `this is coordinator "${coordinatorId}" of ${clusterId}, and "${request.coordinatorId}" of ` +
        `${request.clusterId || 'no cluster'} was to be recovered: nothing was done`,
    )
  }
  return member
}

async function requireLostMajority(member: Pick<EtcdMember, 'look'>): Promise<void> {
  // One that does not answer cannot be asked, and its restart may well be what helps.
  const status = await member.look().catch(() => undefined)
  if (status?.isLearner === true) {
    refuse(
      'this coordinator had not caught up with the others yet and lacks a part of the metadata: recover another, ' +
        'restore a backup, or say --force',
    )
  }
  if (status?.leaderId !== undefined) {
    refuse(
      'the RAFT group has a leader, so a majority of the coordinators lives: take those that are gone out with ' +
        '`cloudlessctl cluster remove` instead. If the majority was lost this moment, try again in some seconds',
    )
  }
}

function refuse(message: string): never {
  throw new CloudlessError('failed_precondition', message)
}
