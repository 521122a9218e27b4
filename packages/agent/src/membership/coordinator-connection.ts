/** One HTTP/2 connection to one coordinator. Its TLS checks the CA and the SPIFFE type, never the host's name. */
import { CoordinatorService } from '@cloudless/api'
import { CloudlessError, parseAddress, type Address } from '@cloudless/base'
import { tlsClientOptions, type Credentials } from '@cloudless/identity'
import { createClient, type Client } from '@connectrpc/connect'
import { createConnectTransport, Http2SessionManager } from '@connectrpc/connect-node'

export interface CoordinatorConnection {
  readonly address: string
  readonly client: Client<typeof CoordinatorService>
  /** Ends every call on it. Safe to call twice. */
  close(): void
}

export interface ConnectionOptions {
  /** "host:port". */
  readonly address: string
  readonly caPem: string
  readonly trustDomain: string
  /** None while enrolling. */
  readonly credentials?: Pick<Credentials, 'keyPem' | 'certificatePem'>
}

/** A larger message is refused; an update of a node with hundreds of replicas fits. */
const messageBytesMax = 16 * 1024 * 1024

const pingIntervalMs = 10_000
/** The session has a limit of its own, which is shorter where the link is good. */
const pingTimeoutMs = 60_000

/** Dials with the first call. */
export function connectToCoordinator(options: ConnectionOptions): CoordinatorConnection {
  const { address, caPem, trustDomain, credentials } = options
  const baseUrl = `https://${address}`
  const tls = tlsClientOptions({
    caPem,
    trustDomain,
    serverType: 'controller',
    ...(credentials === undefined ? {} : { credentials }),
  })
  const manager = new Http2SessionManager(baseUrl, { pingIntervalMs, pingTimeoutMs }, { ...tls })
  const transport = createConnectTransport({
    httpVersion: '2',
    baseUrl,
    sessionManager: manager,
    readMaxBytes: messageBytesMax,
  })
  return {
    address,
    client: createClient(CoordinatorService, transport),
    close: () => manager.abort(),
  }
}

const portDefault = 8080

/** "[::1]:8080", "host:8080" or "host" (port 8080). `invalid_argument` when it is none of them. */
export function parseCoordinatorAddress(text: string): Address {
  const trimmed = text.trim()
  const address = parseAddress(trimmed) ?? parseAddress(`${trimmed}:${portDefault}`)
  if (address && address.host !== '' && address.port > 0) return address
  throw new CloudlessError(
    'invalid_argument',
    `"${text}" is not a coordinator's address: write host:port, such as 192.168.1.10:8080`,
  )
}
