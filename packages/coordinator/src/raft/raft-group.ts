/**
 * The RAFT group as its leader keeps it: lets coordinators join and leave, and gives learners their vote once they have
 * caught up.
 */
import { CloudlessError, every, type Clock } from '@cloudless/base'
import type { EtcdCluster, EtcdClusterMember } from '@cloudless/metadata'

export interface RaftGroupDeps {
  readonly clock: Clock
  readonly cluster: Pick<EtcdCluster, 'members' | 'addLearner' | 'promote' | 'remove'>
  readonly onPromoted: (member: EtcdClusterMember) => void
  readonly onProblem: (message: string, reason: unknown) => void
}

export interface Newcomer {
  readonly id: string
  /** "host:port" of its RAFT member. */
  readonly raftAddress: string
}

const promotePeriodMs = 500
/** Without a learner that is known of: one may have been left by a leader before. */
const lookPeriodMs = 15_000

export class RaftGroup {
  readonly #deps: RaftGroupDeps
  readonly #stop: () => void
  #mayHaveLearner = true
  #lookedAtMs = 0
  #looking = false

  constructor(deps: RaftGroupDeps) {
    this.#deps = deps
    this.#stop = every(deps.clock, promotePeriodMs, () => void this.#look())
  }

  close(): void {
    this.#stop()
  }

  members(): Promise<readonly EtcdClusterMember[]> {
    return this.#deps.cluster.members()
  }

  /** All members, the newcomer too. Asking twice changes nothing. `already_exists` when its id is another's. */
  async admit({ id, raftAddress }: Newcomer): Promise<readonly EtcdClusterMember[]> {
    const { cluster } = this.#deps
    const members = await cluster.members()
    const known = members.find(
      ({ name, peerAddress }) => name === id || peerAddress === raftAddress,
    )
    if (known === undefined) {
      const added = await cluster.addLearner(raftAddress)
      this.#mayHaveLearner = true
      return [...members, { ...added, name: id }]
    }
    const isSame = known.peerAddress === raftAddress && (known.name === id || !known.isStarted)
    if (isSame) return members.map((one) => (one === known ? { ...one, name: id } : one))
    throw new CloudlessError(
      'already_exists',
      known.name === id
        ? `a coordinator "${id}" is a member already, at ${known.peerAddress}: choose another --raft-id, or remove ` +
            `that one first with \`cloudlessctl cluster remove ${id}\``
        : `the RAFT address ${raftAddress} is that of the coordinator "${known.name}": choose another --raft-addr`,
    )
  }

  /** `not_found` when there is none of that id; `failed_precondition` when the rest would have no majority. */
  async remove(coordinatorId: string): Promise<void> {
    const { cluster } = this.#deps
    const members = await cluster.members()
    const member = members.find(({ name }) => name === coordinatorId)
    if (member === undefined) {
      throw new CloudlessError(
        'not_found',
        `there is no coordinator "${coordinatorId}"; \`cloudlessctl cluster members\` shows them`,
      )
    }
    if (members.length === 1) {
      throw new CloudlessError('failed_precondition', `"${coordinatorId}" is the last coordinator`)
    }
    await cluster.remove(member.id)
  }

  async #look(): Promise<void> {
    const { clock, onProblem } = this.#deps
    const isDue = clock.monotonicMs() - this.#lookedAtMs >= lookPeriodMs
    if (this.#looking || !(this.#mayHaveLearner || isDue)) return
    this.#looking = true
    this.#lookedAtMs = clock.monotonicMs()
    try {
      await this.#promoteLearners()
    } catch (reason) {
      onProblem('giving a new coordinator its vote', reason)
    } finally {
      this.#looking = false
    }
  }

  async #promoteLearners(): Promise<void> {
    const { cluster, onPromoted } = this.#deps
    const learners = (await cluster.members()).filter(({ isLearner }) => isLearner)
    this.#mayHaveLearner = learners.length > 0
    for (const learner of learners.filter(({ isStarted }) => isStarted)) {
      if (await cluster.promote(learner.id)) onPromoted(learner)
    }
  }
}
