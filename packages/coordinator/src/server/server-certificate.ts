/** The coordinator's own certificate: a new key at each start, renewed well before it runs out. */
import { between, CloudlessError, type Clock, type Random } from '@cloudless/base'
import {
  coordinatorServerName,
  createCsr,
  createKey,
  planRenewal,
  type CertificateAuthority,
  type Credentials,
} from '@cloudless/identity'

export interface ServerCertificateOptions {
  readonly coordinatorId: string
  readonly dnsNames?: readonly string[]
  readonly ipAddresses?: readonly string[]
  /** 30 days when not given. */
  readonly certificateLifetimeMs?: number
}

export interface ServerCertificateDeps {
  readonly clock: Clock
  readonly random: Random
  readonly ca: CertificateAuthority
  /** Called with each new certificate after the first. */
  readonly renewed: (credentials: Credentials) => void
  readonly problem: (message: string, reason: unknown) => void
}

export interface ServerCertificate {
  readonly first: Credentials
  stop(): void
}

const certificateLifetimeMsDefault = 30 * 86_400_000
/** A failed renewal is tried again after this. */
const retryMs = 5_000

export async function keepServerCertificate(
  deps: ServerCertificateDeps,
  options: ServerCertificateOptions,
): Promise<ServerCertificate> {
  let issued = await issueServerCertificate({ ...deps, authority: deps.ca }, options)
  let cancel: () => void = () => undefined
  let stopped = false
  const schedule = (delayMs: number): void => {
    if (!stopped) cancel = deps.clock.after(delayMs, () => void look())
  }
  const look = async (): Promise<void> => {
    const plan = planRenewal({
      ...issued,
      nowMs: deps.clock.wallMs(),
      heldMs: deps.clock.monotonicMs() - issued.receivedMs,
      justIssued: true,
    })
    if (plan.kind === 'wait') return schedule(plan.delayMs)
    try {
      issued = await issueServerCertificate({ ...deps, authority: deps.ca }, options)
      if (!stopped) deps.renewed(issued.credentials)
      schedule(0)
    } catch (reason) {
      deps.problem(
        'renewing the certificate of the coordinator failed',
        CloudlessError.from(reason),
      )
      schedule(retryMs)
    }
  }
  schedule(0)
  return {
    first: issued.credentials,
    stop: () => {
      stopped = true
      cancel()
    },
  }
}

interface Issued {
  readonly credentials: Credentials
  readonly notBeforeMs: number
  readonly notAfterMs: number
  readonly receivedMs: number
  readonly jitter: number
}

/** One with a key of its own. */
export async function issueServerCertificate(
  deps: Pick<ServerCertificateDeps, 'clock' | 'random'> & {
    readonly authority: CertificateAuthority
  },
  options: ServerCertificateOptions,
): Promise<Issued> {
  const keyPem = await createKey()
  const issued = await deps.authority.issue({
    csrPem: await createCsr(keyPem),
    spiffeId: {
      trustDomain: deps.authority.trustDomain,
      type: 'controller',
      id: options.coordinatorId,
    },
    dnsNames: [coordinatorServerName, ...(options.dnsNames ?? [])],
    ipAddresses: options.ipAddresses ?? [],
    lifetimeMs: options.certificateLifetimeMs ?? certificateLifetimeMsDefault,
  })
  return {
    credentials: {
      keyPem,
      certificatePem: issued.certificatePem,
      caPem: deps.authority.certificatePem,
    },
    notBeforeMs: issued.notBeforeMs,
    notAfterMs: issued.notAfterMs,
    receivedMs: deps.clock.monotonicMs(),
    jitter: between(deps.random, 0, 1),
  }
}
