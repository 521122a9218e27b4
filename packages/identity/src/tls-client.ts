/** TLS towards a member of the cluster: known by the CA and its SPIFFE id; addresses and host names prove nothing. */
import type { ConnectionOptions, PeerCertificate } from 'node:tls'
import { X509Certificate } from 'node:crypto'
import type { Credentials } from './credentials.ts'
import type { IdentityType } from './spiffe-id.ts'
import { checkAncestry, createTrustAnchor } from './trust-anchor.ts'

export interface TlsClientOptions {
  /** The CA to trust, PEM. */
  readonly caPem: string
  readonly trustDomain: string
  /** What the server must be. */
  readonly serverType: IdentityType
  /** One server only; any of the type when not given. */
  readonly serverId?: string
  /** Key and certificate to show; none when enrolling. */
  readonly credentials?: Pick<Credentials, 'keyPem' | 'certificatePem'>
  /** Such as ["h2"]. */
  readonly alpnProtocols?: readonly string[]
}

/** The name that every coordinator's certificate carries. */
export const coordinatorServerName = 'coordinator.cloudless'

/** Options for tls.connect or http2.connect. TLS 1.3 only. */
export function tlsClientOptions(options: TlsClientOptions): ConnectionOptions {
  const anchor = createTrustAnchor(options.caPem, options.trustDomain)
  return {
    ca: options.caPem,
    minVersion: 'TLSv1.3',
    rejectUnauthorized: true,
    servername: coordinatorServerName,
    checkServerIdentity: (_hostName: string, peer: PeerCertificate) => {
      const ancestry = checkAncestry(new X509Certificate(peer.raw), anchor)
      if (ancestry.kind === 'foreign')
        return new Error(`the server was refused: ${ancestry.reason}`)
      const { type, id } = ancestry.facts.spiffeId
      const wanted = options.serverId ?? id
      if (type === options.serverType && id === wanted) return undefined
      return new Error(
        `the server was refused: it is ${type} "${id}", not ${options.serverType}` +
          (options.serverId === undefined ? '' : ` "${options.serverId}"`),
      )
    },
    ...(options.alpnProtocols === undefined ? {} : { ALPNProtocols: [...options.alpnProtocols] }),
    ...(options.credentials === undefined
      ? {}
      : { key: options.credentials.keyPem, cert: options.credentials.certificatePem }),
  }
}
