/** Whether this coordinator leads: begins and ends its terms of office, and follows whoever leads meanwhile. */
import { AgentService, CoordinatorService, type Coordinator } from '@cloudless/api'
import { NetworkService, SecretsService, StorageService } from '@cloudless/api/services'
import { CloudlessError, onAbort } from '@cloudless/base'
import { Election } from '../leadership/election.ts'
import type { KnownLeader } from '../leadership/leader-record.ts'
import { leadsNoLonger, type Term } from '../leadership/term.ts'
import type { Recover } from '../raft/recovery.ts'
import type { ApiServer } from '../server/api-server.ts'
import { LeaderLink, type LeaderLinkDeps } from '../server/leader-link.ts'
import { refusingServices } from '../server/refusing-services.ts'
import type { ServedService } from '../server/rpc-handler.ts'
import type { CallRoute } from './call-route.ts'
import type { Foundation } from './foundation.ts'
import type { TermOfOffice } from './term-of-office.ts'

export interface LeadershipDeps extends Foundation {
  readonly route: CallRoute
  readonly server: Pick<ApiServer, 'replaceServices' | 'endCalls'>
  readonly credentials: LeaderLinkDeps['credentials']
  readonly begin: (how: { readonly isTakeover: boolean }) => TermOfOffice
  /** Of this coordinator, for those who ask whoever leads. */
  readonly describe: () => Coordinator
  /** Of this coordinator too. */
  readonly recover: Recover
  readonly onOffice: (office: TermOfOffice | undefined) => void
}

export interface LeadershipOptions {
  readonly coordinatorId: string
  /** "host:port" where others reach this coordinator. */
  readonly addresses: readonly string[]
  readonly leaseMs: number
}

export interface Leadership {
  readonly isLeader: boolean
  handOver(successorId: string): Promise<void>
  close(): Promise<void>
}

const recentlyMs = 10_000

/** The only coordinator there is: it leads at once, for as long as it runs. */
export function leadAlone(deps: LeadershipDeps): Leadership {
  const { server, route, onOffice, observed } = deps
  const office = deps.begin({ isTakeover: false })
  server.replaceServices(office.services)
  route.toHere(() => true)
  onOffice(office)
  observed.leads('it is the only coordinator')
  return {
    isLeader: true,
    handOver: () => Promise.reject(new CloudlessError('failed_precondition', 'there is no other')),
    close: async () => {
      route.close()
      server.replaceServices(notLeadingServices(deps, () => undefined))
      server.endCalls(leadsNoLonger('it is shutting down'))
      onOffice(undefined)
      await office.close()
    },
  }
}

export class SharedLeadership implements Leadership {
  readonly #deps: LeadershipDeps
  readonly #options: LeadershipOptions
  readonly #election: Election
  #link: LeaderLink | undefined
  #term: Term | undefined
  /** When a leader was last heard, be it this one, monotonic milliseconds. */
  #ledUntilMs = Number.NEGATIVE_INFINITY
  #unlinking: Promise<void> = Promise.resolve()

  constructor(deps: LeadershipDeps, options: LeadershipOptions) {
    this.#deps = deps
    this.#options = options
    const { clock, random, unfencedStore: store, observed } = deps
    this.#election = new Election(
      {
        ...{ clock, random, store },
        listener: {
          lead: (term) => this.#lead(term),
          onLeader: (leader) => this.#follow(leader),
          onProblem: (message, reason) => observed.report.error(message, reason),
        },
      },
      { id: options.coordinatorId, ...options },
    )
    this.#refuse()
    this.#election.start()
  }

  /** There was a leader until a moment ago, so the agents were connected. */
  get #hasJustBeenLed(): boolean {
    return this.#deps.clock.monotonicMs() - this.#ledUntilMs < recentlyMs
  }

  get isLeader(): boolean {
    return this.#term?.isValid === true
  }

  handOver(successorId: string): Promise<void> {
    return this.#election.handOver(successorId)
  }

  async close(): Promise<void> {
    await this.#election.close()
    this.#deps.route.close()
    this.#unlink()
    await this.#unlinking
  }

  async #lead(term: Term): Promise<void> {
    const { fence, state, observed, server, route, begin, onOffice } = this.#deps
    this.#term = term
    this.#unlink()
    fence!.enter(term)
    let office: TermOfOffice | undefined
    try {
      // All that was decided in terms before this one.
      await state.caughtUp(term.number)
      if (term.signal.aborted) return
      office = begin({ isTakeover: this.#hasJustBeenLed })
      server.replaceServices(office.services)
      route.toHere(() => term.isValid)
      onOffice(office)
      observed.leads(`it was elected (term ${term.number})`)
      await aborted(term.signal)
    } finally {
      const reason = CloudlessError.from(term.signal.reason ?? new Error('it could not begin'))
      route.toLeader(undefined)
      this.#refuse()
      server.endCalls(reason)
      onOffice(undefined)
      await office?.close()
      fence!.enter(undefined)
      this.#term = undefined
      if (office !== undefined) this.#ledUntilMs = this.#deps.clock.monotonicMs()
      if (office !== undefined) observed.leadsNoLonger(reason.message)
      this.#follow(this.#election.leader)
    }
  }

  #follow(leader: KnownLeader | undefined): void {
    if (this.#term !== undefined) return
    this.#unlink()
    const { coordinatorId } = this.#options
    if (leader === undefined || leader.id === coordinatorId || leader.addresses.length === 0) return
    const { clock, authority, credentials, observed, route } = this.#deps
    this.#link = new LeaderLink(
      {
        ...{ clock, credentials, trustDomain: authority.trustDomain },
        onDead: () => this.#election.leaderDied(leader.term),
        onProblem: (message, reason) => observed.report.error(message, reason),
      },
      { leaderId: leader.id, addresses: leader.addresses },
    )
    route.toLeader(this.#link)
  }

  #unlink(): void {
    const link = this.#link
    if (link === undefined) return
    this.#link = undefined
    this.#ledUntilMs = Math.max(this.#ledUntilMs, link.heardUntilMs)
    this.#deps.route.toLeader(undefined)
    this.#unlinking = Promise.all([this.#unlinking, link.close()]).then(() => undefined)
  }

  /** What is served while another leads: where it is. */
  #refuse(): void {
    this.#deps.server.replaceServices(
      notLeadingServices(this.#deps, () => {
        const { leader } = this.#election
        return leader?.id === this.#options.coordinatorId ? undefined : leader
      }),
    )
  }
}

const described = [CoordinatorService, AgentService, StorageService, NetworkService, SecretsService]

function notLeadingServices(
  { describe, recover }: LeadershipDeps,
  leader: () => KnownLeader | undefined,
): ServedService[] {
  const refusing = refusingServices(described, () => {
    const { id, addresses } = leader() ?? {}
    const message =
      id === undefined
        ? 'no coordinator leads at the moment: try again soon; where most of them are lost for good, see `cloudlessctl cluster recover`'
        : `this coordinator does not lead; ${id} at ${addresses!.join(', ')} does`
    const details = { reason: 'not_leader', ...(addresses && { leader: addresses.join(',') }) }
    return new CloudlessError('unavailable', message, { details })
  })
  return refusing.map(({ service, implementation }) => ({
    service,
    implementation:
      service === CoordinatorService
        ? { ...implementation, describeCoordinator: describe, recoverCoordinator: recover }
        : implementation,
  }))
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => void onAbort(signal, resolve))
}
