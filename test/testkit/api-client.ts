/** A client of a test cluster's coordinator, for what must be seen as it changes, without a CLI in between. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { CoordinatorService } from '@cloudless/api'
import { tlsClientOptions } from '@cloudless/identity'
import { createClient, type Client } from '@connectrpc/connect'
import { createConnectTransport } from '@connectrpc/connect-node'

export type ApiClient = Client<typeof CoordinatorService>

export interface ApiClientOptions {
  /** How often a connection is asked whether it still is one; not when not given. */
  readonly pingMs?: number
}

/** `credentialsDirectory` is what `issueCredentials` of a coordinator wrote. */
export function createApiClient(
  address: string,
  credentialsDirectory: string,
  { pingMs }: ApiClientOptions = {},
): ApiClient {
  const read = (name: string): string => readFileSync(join(credentialsDirectory, name), 'utf8')
  const transport = createConnectTransport({
    httpVersion: '2',
    baseUrl: `https://${address}`,
    ...(pingMs !== undefined && { pingIntervalMs: pingMs, pingTimeoutMs: pingMs }),
    nodeOptions: tlsClientOptions({
      caPem: read('ca.pem'),
      trustDomain: 'cloudless',
      serverType: 'controller',
      credentials: { keyPem: read('key.pem'), certificatePem: read('cert.pem') },
    }),
  })
  return createClient(CoordinatorService, transport)
}
