/**
 * The certificate of a member, kept renewed on disk: etcd reads it anew for each connection.
 *
 * Key and certificate are one file, replaced as a whole. etcd opens it twice for a connection; should it be replaced
 * just in between, that one connection fails, and is made again.
 */
import { join } from 'node:path'
import {
  CloudlessError,
  makePrivateDirectory,
  writeDurablySync,
  type Clock,
  type Random,
} from '@cloudless/base'
import type { EtcdLog } from './output.ts'

export interface MemberCredentials {
  /** PEM, all three. */
  readonly keyPem: string
  readonly certificatePem: string
  readonly caPem: string
  /** Unix milliseconds, from the certificate. */
  readonly notBeforeMs: number
  readonly notAfterMs: number
}

/** What the certificate must be valid for. */
export interface MemberNames {
  readonly dnsNames: readonly string[]
  readonly ipAddresses: readonly string[]
}

/** As `planRenewal` of the identity package. */
export type PlanRenewal = (input: {
  readonly notBeforeMs: number
  readonly notAfterMs: number
  readonly nowMs: number
  readonly heldMs: number
  readonly justIssued: boolean
  readonly jitter: number
}) => { readonly kind: 'renew' } | { readonly kind: 'wait'; readonly delayMs: number }

export interface MemberCertificateDeps {
  readonly clock: Clock
  readonly random: Random
  readonly log: EtcdLog
}

export interface MemberCertificateOptions {
  readonly directory: string
  readonly names: MemberNames
  readonly planRenewal: PlanRenewal
  readonly credentials: (names: MemberNames) => Promise<MemberCredentials>
}

/** Always the present ones: a connection that is made later takes those of then. */
export interface MemberTls {
  readonly ca: string
  readonly cert: string
  readonly key: string
}

export interface MemberCertificate {
  /** Key and certificate, PEM. */
  readonly pairPath: string
  readonly caPath: string
  readonly tls: MemberTls
  stop(): void
}

/** A failed renewal is tried again after this. */
const retryMs = 5_000

export async function keepMemberCertificate(
  deps: MemberCertificateDeps,
  { directory, names, planRenewal, credentials: obtain }: MemberCertificateOptions,
): Promise<MemberCertificate> {
  const { clock, log } = deps
  makePrivateDirectory(directory)
  const pairPath = join(directory, 'member.pem')
  const caPath = join(directory, 'ca.pem')
  const issue = async (): Promise<Issued> => {
    const credentials = await obtain(names)
    writeDurablySync(caPath, credentials.caPem)
    writeDurablySync(pairPath, `${credentials.certificatePem.trimEnd()}\n${credentials.keyPem}`)
    return { credentials, receivedMs: clock.monotonicMs(), jitter: deps.random.next() }
  }
  let issued = await issue()
  let cancel: () => void = () => undefined
  let stopped = false
  const schedule = (delayMs: number): void => {
    if (!stopped) cancel = clock.after(delayMs, () => void look())
  }
  const look = async (): Promise<void> => {
    const plan = planRenewal({
      notBeforeMs: issued.credentials.notBeforeMs,
      notAfterMs: issued.credentials.notAfterMs,
      nowMs: clock.wallMs(),
      heldMs: clock.monotonicMs() - issued.receivedMs,
      justIssued: true,
      jitter: issued.jitter,
    })
    if (plan.kind === 'wait') return schedule(plan.delayMs)
    try {
      issued = await issue()
      schedule(0)
    } catch (reason) {
      const { message } = CloudlessError.from(reason)
      log('error', `renewing the certificate of etcd failed: ${message}`)
      schedule(retryMs)
    }
  }
  schedule(0)
  return {
    ...{ pairPath, caPath },
    tls: {
      get ca() {
        return issued.credentials.caPem
      },
      get cert() {
        return issued.credentials.certificatePem
      },
      get key() {
        return issued.credentials.keyPem
      },
    },
    stop: () => {
      stopped = true
      cancel()
    },
  }
}

interface Issued {
  readonly credentials: MemberCredentials
  readonly receivedMs: number
  /** In [0, 1). */
  readonly jitter: number
}
