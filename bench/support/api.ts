/** A client of a test cluster's coordinator, and its workloads as they change, for timing without a CLI in between. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { CoordinatorService, type ReplicaStatus, type Workload } from '@cloudless/api'
import { tlsClientOptions } from '@cloudless/identity'
import type { Cluster } from '@cloudless/test/testkit'
import { createClient, type Client } from '@connectrpc/connect'
import { createConnectTransport } from '@connectrpc/connect-node'

export type ApiClient = Client<typeof CoordinatorService>

export function clientOf(cluster: Cluster): ApiClient {
  const read = (name: string): string =>
    readFileSync(join(cluster.directory, 'operator', name), 'utf8')
  const transport = createConnectTransport({
    httpVersion: '2',
    baseUrl: `https://${cluster.address}`,
    nodeOptions: tlsClientOptions({
      caPem: read('ca.pem'),
      trustDomain: 'cloudless',
      serverType: 'controller',
      credentials: { keyPem: read('key.pem'), certificatePem: read('cert.pem') },
    }),
  })
  return createClient(CoordinatorService, transport)
}

/** Resolves when the workload first looks as wanted; rejects after `deadlineMs`. */
export async function whenWorkload(
  client: ApiClient,
  name: string,
  deadlineMs: number,
  isAsWanted: (workload: Workload, replicas: readonly ReplicaStatus[]) => boolean,
): Promise<void> {
  const signal = AbortSignal.timeout(deadlineMs)
  for await (const { workload } of client.watchWorkloads({ workloadId: name }, { signal })) {
    if (workload && isAsWanted(workload, workload.status?.replicas ?? [])) return
  }
  throw new Error(`workload ${name} did not become as wanted within ${deadlineMs} ms`)
}
