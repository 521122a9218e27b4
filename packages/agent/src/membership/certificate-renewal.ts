/** Renews the node's certificate in time, over the connection the session runs on, so that the session stays up. */
import { fromConnectError } from '@cloudless/api'
import { backoffDelayMs, CloudlessError, type Clock, type Random } from '@cloudless/base'
import { planRenewal, type LoadedCredentials } from '@cloudless/identity'
import type { AgentLogger } from '../logger.ts'
import type { CoordinatorConnection } from './coordinator-connection.ts'
import type { NodeIdentity } from './node-identity.ts'

export interface CertificateRenewalDeps {
  readonly clock: Clock
  readonly random: Random
  readonly logger: AgentLogger
  readonly identity: NodeIdentity
}

const callMsMax = 10_000
const retry = { delayMsMin: 200, delayMsMax: 30_000 } as const
/** A clock that says "expired" of what was just issued is the clock's fault. */
const freshMs = 60_000

export class CertificateRenewal {
  readonly #deps: CertificateRenewalDeps
  #credentials: LoadedCredentials
  #heldSinceMs: number
  #justIssued = false
  #jitter: number
  #cancel: () => void = () => {}
  #failuresInRow = 0
  #connection: CoordinatorConnection | undefined

  constructor(deps: CertificateRenewalDeps, credentials: LoadedCredentials) {
    this.#deps = deps
    this.#credentials = credentials
    this.#heldSinceMs = deps.clock.monotonicMs()
    this.#jitter = deps.random.next()
  }

  /** For new connections. */
  get credentials(): LoadedCredentials {
    return this.#credentials
  }

  /** Renews first when the certificate has run out: nothing else is allowed with it. */
  async beforeSession(connection: CoordinatorConnection): Promise<void> {
    const { clock } = this.#deps
    const fresh = this.#justIssued && clock.monotonicMs() - this.#heldSinceMs < freshMs
    if (fresh || clock.wallMs() < this.#credentials.notAfterMs) return
    const since = new Date(this.#credentials.notAfterMs).toISOString()
    this.#deps.logger.info({}, `the certificate ran out at ${since}: renewing it`)
    await this.#renew(connection)
  }

  /** The session is up: renewals go over its connection until `detach`. */
  attach(connection: CoordinatorConnection): void {
    this.#connection = connection
    this.#failuresInRow = 0
    this.#schedule()
  }

  detach(): void {
    this.#connection = undefined
    this.#cancel()
  }

  #schedule(): void {
    this.#cancel()
    const { clock } = this.#deps
    const { notBeforeMs, notAfterMs } = this.#credentials
    const plan = planRenewal({
      notBeforeMs,
      notAfterMs,
      nowMs: clock.wallMs(),
      heldMs: clock.monotonicMs() - this.#heldSinceMs,
      justIssued: this.#justIssued,
      jitter: this.#jitter,
    })
    if (plan.kind === 'wait') this.#cancel = clock.after(plan.delayMs, () => this.#schedule())
    else void this.#renewNow()
  }

  async #renewNow(): Promise<void> {
    const connection = this.#connection
    if (connection === undefined) return
    let delayMs = 0
    try {
      await this.#renew(connection)
      this.#failuresInRow = 0
    } catch (reason) {
      const { code, message } = CloudlessError.from(reason)
      delayMs = backoffDelayMs(this.#deps.random, this.#failuresInRow++, retry)
      this.#deps.logger.warn({ code }, `cannot renew the certificate yet: ${message}`)
    }
    if (this.#connection === undefined) return
    this.#cancel = this.#deps.clock.after(delayMs, () => this.#schedule())
  }

  async #renew(connection: CoordinatorConnection): Promise<void> {
    const { clock, identity, logger, random } = this.#deps
    const { keyPem, caPem } = this.#credentials
    const csrPem = await identity.csrPem(keyPem)
    try {
      const answer = await connection.client.renewCertificate({ csrPem }, { timeoutMs: callMsMax })
      this.#credentials = identity.saveCredentials({
        keyPem,
        certificatePem: answer.certificate,
        caPem: answer.caCertificate || caPem,
      })
    } catch (reason) {
      throw fromConnectError(reason, `renewing the certificate at ${connection.address}`)
    }
    this.#heldSinceMs = clock.monotonicMs()
    this.#justIssued = true
    this.#jitter = random.next()
    const until = new Date(this.#credentials.notAfterMs).toISOString()
    logger.info({ serial: this.#credentials.serial }, `the certificate was renewed until ${until}`)
  }
}
