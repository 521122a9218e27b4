/** The first contact: fetching the CA's certificate from a coordinator, known only by its fingerprint. */
import { connect, type DetailedPeerCertificate, type TLSSocket } from 'node:tls'
import { X509Certificate } from 'node:crypto'
import { CloudlessError } from '@cloudless/base'
import { fingerprintOf } from './certificate-facts.ts'
import { coordinatorServerName } from './tls-client.ts'

export interface FetchCaOptions {
  readonly host: string
  readonly port: number
  /** SHA-256 of the CA's certificate, hex; from the join token. */
  readonly fingerprint: string
  readonly timeoutMs: number
  readonly signal?: AbortSignal
}

/**
 * The CA's certificate, PEM. Nothing is sent; the connection is closed again. `unauthenticated` when the server's chain
 * holds no CA with this fingerprint, `unavailable` when it cannot be reached, `deadline_exceeded`, `cancelled`.
 */
export async function fetchCaCertificate(options: FetchCaOptions): Promise<string> {
  const where = `${options.host}:${options.port}`
  const deadline = AbortSignal.timeout(options.timeoutMs)
  const signal = options.signal ? AbortSignal.any([options.signal, deadline]) : deadline
  const socket = connect({
    host: options.host,
    port: options.port,
    servername: coordinatorServerName,
    ALPNProtocols: ['h2'],
    minVersion: 'TLSv1.3',
    rejectUnauthorized: false, // The fingerprint is checked instead, below.
  })
  try {
    await connected(socket, signal)
    return caInChain(socket.getPeerCertificate(true), options.fingerprint.toLowerCase(), where)
  } catch (reason) {
    if (reason instanceof CloudlessError) throw reason
    const error = CloudlessError.from(reason, `asking the coordinator at ${where} for its CA`)
    // Whatever a handshake dies of, the coordinator was not reached.
    const code = error.code === 'internal' ? 'unavailable' : error.code
    throw new CloudlessError(code, error.message, { cause: reason })
  } finally {
    socket.destroy()
  }
}

function connected(socket: TLSSocket, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const onAbort = (): void => reject(signal.reason)
    const settle = (act: () => void): void => {
      signal.removeEventListener('abort', onAbort)
      act()
    }
    if (signal.aborted) return reject(signal.reason)
    signal.addEventListener('abort', onAbort, { once: true })
    socket.once('secureConnect', () => settle(resolve))
    socket.once('error', (reason) => settle(() => reject(reason)))
    socket.once('close', () => settle(() => reject(new Error('the connection was closed'))))
  })
}

const chainLengthMax = 8

function caInChain(leaf: DetailedPeerCertificate, fingerprint: string, where: string): string {
  let link: DetailedPeerCertificate | undefined = leaf
  for (let n = 0; n < chainLengthMax && link?.raw !== undefined; n++) {
    const certificate = new X509Certificate(link.raw)
    if (certificate.ca && fingerprintOf(certificate) === fingerprint) {
      const issued = new X509Certificate(leaf.raw)
      if (issued.checkIssued(certificate) && issued.verify(certificate.publicKey)) {
        return certificate.toString()
      }
    }
    link = link.issuerCertificate === link ? undefined : link.issuerCertificate
  }
  throw new CloudlessError(
    'unauthenticated',
    `${where} is not a coordinator of the cluster that made this token: its CA has another fingerprint. ` +
      'Check the address, or make a token on that cluster with `cloudlessctl token create`',
  )
}
