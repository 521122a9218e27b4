/**
 * Stays connected to some coordinator for as long as the agent runs: tries each address in turn, backs off between rounds,
 * renews the certificate, and ends only when the agent leaves or the membership has ended.
 */
import {
  backoffDelayMs,
  CloudlessError,
  formatAddress,
  sleep,
  type Clock,
  type Random,
} from '@cloudless/base'
import type { LoadedCredentials } from '@cloudless/identity'
import type { AgentLogger } from '../logger.ts'
import { CertificateRenewal } from './certificate-renewal.ts'
import {
  connectToCoordinator,
  parseCoordinatorAddress,
  type ConnectionOptions,
  type CoordinatorConnection,
} from './coordinator-connection.ts'
import type { NodeIdentity } from './node-identity.ts'
import { Session, type SessionEnd, type SessionPorts } from './session.ts'

export interface MembershipDeps {
  readonly clock: Clock
  readonly random: Random
  readonly logger: AgentLogger
  readonly identity: NodeIdentity
  readonly ports: SessionPorts
  /** Over TLS when not given. */
  readonly connect?: (options: ConnectionOptions) => CoordinatorConnection
}

export interface MembershipOptions {
  readonly trustDomain: string
  readonly credentials: LoadedCredentials
  /** "host:port", tried in turn; those that a coordinator names are tried after them. */
  readonly addresses: readonly string[]
  /** Heartbeats at least this often, milliseconds; 0: as often as the coordinator asks. */
  readonly heartbeatMsMax?: number
}

export type MembershipEnd = Exclude<SessionEnd, { kind: 'lost' }>

/** For a coordinator's answer. */
const welcomeMsMin = 1_000
const welcomeMsMax = 5_000
const silenceMsMax = 120_000
const silenceMsMaxOfSeveral = 4_000
/** For so long one that did not answer is not asked again because another says that it leads. */
const failureMs = 5_000
/** While coordinators answer and nobody leads. */
const betweenElections = { delayMsMin: 100, delayMsMax: 1_000 } as const
const backoff = { delayMsMin: 100, delayMsMax: 5_000 } as const

export class Membership {
  readonly #deps: MembershipDeps
  readonly #options: MembershipOptions
  readonly #renewal: CertificateRenewal
  readonly #leaving = new AbortController()
  #addresses: string[]
  /** When one of them last did not answer, monotonic milliseconds. */
  readonly #failedAtMs = new Map<string, number>()
  #session: Session | undefined
  #connection: CoordinatorConnection | undefined
  #connected = false

  /** `failed_precondition` when there is no address. */
  constructor(deps: MembershipDeps, options: MembershipOptions) {
    if (options.addresses.length === 0) {
      throw new CloudlessError(
        'failed_precondition',
        'no coordinator is known: say where it is with --coordinator-addr host:port',
      )
    }
    this.#deps = deps
    this.#options = options
    this.#renewal = new CertificateRenewal(deps, options.credentials)
    this.#addresses = options.addresses.map((address) =>
      formatAddress(parseCoordinatorAddress(address)),
    )
  }

  /** Whether a session is up. */
  get connected(): boolean {
    return this.#connected
  }

  /** The newest, for new connections. */
  get credentials(): LoadedCredentials {
    return this.#renewal.credentials
  }

  /** Where the session's coordinator was reached; empty before the first. */
  get address(): string {
    return this.#connection?.address ?? ''
  }

  /** "host:port" of all that are known. */
  get addresses(): readonly string[] {
    return this.#addresses
  }

  /** Also those a coordinator named, after the configured ones. */
  addAddresses(addresses: readonly string[]): void {
    for (const address of addresses) {
      if (!this.#addresses.includes(address)) this.#addresses.push(address)
    }
  }

  /** Runs until it is left or evicted; never rejects. */
  async run(): Promise<MembershipEnd> {
    const { clock, random } = this.#deps
    const { signal } = this.#leaving
    let told: string | undefined
    for (let turn = 0, failuresInRow = 0; !signal.aborted; turn++) {
      const address = told ?? this.#addresses[turn % this.#addresses.length]!
      const wasTold = told !== undefined
      told = undefined
      const round = Math.floor(failuresInRow / this.#addresses.length)
      const end = await this.#once(address, this.#patienceMs(round))
      if (end.kind !== 'lost') return end
      // A coordinator that does not lead says which one does. Asked at once, unless that one sends us on as well.
      told = this.#leaderIn(end.error)
      if (told !== undefined && !wasTold) continue
      const isAnswer = end.error.details['reason'] === 'not_leader'
      if (!end.welcomed && !isAnswer) this.#failedAtMs.set(address, clock.monotonicMs())
      if (end.error.details['reason'] === 'removed') {
        const { message } = end.error
        return { kind: 'evicted', reason: 'removed', message, elsewhere: false }
      }
      // The coordinator that was just there is the best to ask again.
      if (end.welcomed) turn--
      failuresInRow = end.welcomed ? 0 : failuresInRow + 1
      const rounds = Math.floor(failuresInRow / this.#addresses.length)
      const delayMs = backoffDelayMs(random, rounds, isAnswer ? betweenElections : backoff)
      if (signal.aborted) break
      this.#sayLost(end.error, { address, failuresInRow, delayMs })
      await sleep(clock, delayMs, signal).catch(() => undefined) // The loop looks at the signal.
    }
    return { kind: 'left' }
  }

  /** Where the leader is, when the error is that of a coordinator that does not lead and knows who does. */
  #leaderIn({ details }: CloudlessError): string | undefined {
    const { reason, leader } = details
    if (reason !== 'not_leader' || typeof leader !== 'string' || leader === '') return undefined
    const addresses = leader.split(',')
    this.addAddresses(addresses)
    // The others may know later than we that it is gone.
    return addresses.find((address) => !this.#hasJustFailed(address))
  }

  #hasJustFailed(address: string): boolean {
    const failedAtMs = this.#failedAtMs.get(address) ?? Number.NEGATIVE_INFINITY
    return this.#deps.clock.monotonicMs() - failedAtMs < failureMs
  }

  /** Says goodbye if there is anyone to say it to; `run` resolves within two seconds. */
  leave(expectedBackMs: number, reason: string): void {
    this.#session?.leave(expectedBackMs, reason)
    if (!this.#connected) this.#connection?.close()
    this.#leaving.abort()
  }

  /** Tells what is new now, if there is a session. */
  heartbeatNow(): void {
    this.#session?.heartbeatNow()
  }

  /** Where there are others to ask, one that does not answer is not waited for long, unless none of them does. */
  #patienceMs(round: number): number {
    if (this.#addresses.length === 1) return welcomeMsMax
    return Math.min(welcomeMsMax, welcomeMsMin * 2 ** round)
  }

  /** A coordinator that is silent may be gone, and where there are others one of them leads then. */
  #silenceMsMax(): number {
    return this.#addresses.length === 1 ? silenceMsMax : silenceMsMaxOfSeveral
  }

  async #once(address: string, patienceMs: number): Promise<SessionEnd> {
    const { clock, logger } = this.#deps
    const credentialsBefore = this.#renewal.credentials
    let connection: CoordinatorConnection | undefined
    try {
      connection = this.#connect(address)
      await this.#renewal.beforeSession(connection)
    } catch (reason) {
      connection?.close()
      return { kind: 'lost', error: CloudlessError.from(reason), welcomed: false }
    }
    if (this.#renewal.credentials !== credentialsBefore) {
      connection.close()
      connection = this.#connect(address)
    }
    this.#connection = connection
    const ports = this.#portsOf(connection)
    const heartbeatMsMax = this.#options.heartbeatMsMax ?? 0
    const session = new Session(
      { clock, logger, ports },
      { connection, heartbeatMsMax, welcomeMsMax: patienceMs, silenceMsMax: this.#silenceMsMax() },
    )
    this.#session = session
    const end = await session.run()
    this.#connected = false
    this.#session = undefined
    this.#renewal.detach()
    connection.close()
    return end
  }

  #connect(address: string): CoordinatorConnection {
    const { credentials } = this.#renewal
    const { trustDomain } = this.#options
    const { connect = connectToCoordinator } = this.#deps
    return connect({ address, caPem: credentials.caPem, trustDomain, credentials })
  }

  #portsOf(connection: CoordinatorConnection): SessionPorts {
    const { ports, logger } = this.#deps
    return {
      hello: () => ports.hello(),
      heartbeat: (roundTripMs) => ports.heartbeat(roundTripMs),
      apply: (update) => ports.apply(update),
      listen: (listener) => ports.listen(listener),
      coordinatorTime: (wallMs, roundTripMs) => ports.coordinatorTime(wallMs, roundTripMs),
      coordinators: (addresses) => {
        this.addAddresses(addresses)
        ports.coordinators(addresses)
      },
      dialBack: (connectionId) => ports.dialBack(connectionId),
      welcomed: (welcome) => {
        this.#connected = true
        logger.info({ address: connection.address }, `connected to ${connection.address}`)
        this.addAddresses(welcome.coordinators)
        this.#renewal.attach(connection)
        ports.welcomed(welcome, connection)
      },
    }
  }

  #saidAtMs = Number.NEGATIVE_INFINITY

  /** The first loss at once, then every half minute: an outage of hours must not fill a disk. */
  #sayLost(
    error: CloudlessError,
    facts: { readonly address: string; readonly failuresInRow: number; readonly delayMs: number },
  ): void {
    const { clock, logger } = this.#deps
    const { address, failuresInRow, delayMs } = facts
    const nowMs = clock.monotonicMs()
    if (failuresInRow > 1 && nowMs - this.#saidAtMs < 30_000) return
    this.#saidAtMs = nowMs
    logger.warn(
      { address, code: error.code, failuresInRow },
      `no session with ${address}: ${error.message}${clockHint(error)}; containers go on, ` +
        `next try in ${Math.round(delayMs)} ms`,
    )
  }
}

function clockHint(error: CloudlessError): string {
  const timeFault = /certificate (has expired|is not yet valid)/.test(error.message)
  return timeFault ? ' (is the clock of this machine right?)' : ''
}
