/**
 * A process of clients that write through the API as fast as they are answered: forked with where and how long, it
 * answers with what was acknowledged. Spoken straight on HTTP/2, so that the clients are no large part of what is measured.
 */
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { connect, type ClientHttp2Session, type IncomingHttpHeaders } from 'node:http2'
import { join } from 'node:path'
import { create, toBinary } from '@bufbuild/protobuf'
import { CoordinatorService, CreateJoinTokenRequestSchema } from '@cloudless/api'
import { systemClock } from '@cloudless/base'
import { tlsClientOptions } from '@cloudless/identity'

export interface WriteOrder {
  /** "host:port" */
  readonly address: string
  readonly credentialsDirectory: string
  readonly clients: number
  readonly durationMs: number
  /** Ends sooner when so many are acknowledged. */
  readonly countMax?: number
}

export interface WriteReport {
  readonly acknowledged: number
  readonly failed: number
  readonly firstFailure: string
  readonly elapsedMs: number
  /** Of every acknowledged one, milliseconds. */
  readonly latenciesMs: readonly number[]
}

const clientsPerConnection = 25

process.on('message', (order: WriteOrder) => {
  write(order).then(
    (report) => process.send!(report),
    (reason: unknown) => process.send!({ firstFailure: String(reason) }),
  )
})
process.on('disconnect', () => process.exit())

async function write(order: WriteOrder): Promise<WriteReport> {
  const connections = Array.from({ length: Math.ceil(order.clients / clientsPerConnection) }, () =>
    dial(order),
  )
  await Promise.all(connections.map((connection) => once(connection, 'connect')))
  const { countMax = Number.POSITIVE_INFINITY } = order
  const startMs = systemClock.monotonicMs()
  const endMs = startMs + order.durationMs
  const latenciesMs: number[] = []
  let failed = 0
  let firstFailure = ''
  const client = async (connection: ClientHttp2Session): Promise<void> => {
    for (;;) {
      const sentMs = systemClock.monotonicMs()
      if (sentMs >= endMs || latenciesMs.length >= countMax) return
      const problem = await call(connection)
      if (problem === undefined) latenciesMs.push(systemClock.monotonicMs() - sentMs)
      else {
        failed++
        firstFailure ||= problem
      }
    }
  }
  await Promise.all(
    Array.from({ length: order.clients }, (_, n) => client(connections[n % connections.length]!)),
  )
  const elapsedMs = systemClock.monotonicMs() - startMs
  for (const connection of connections) connection.destroy()
  return { acknowledged: latenciesMs.length, failed, firstFailure, elapsedMs, latenciesMs }
}

function dial({ address, credentialsDirectory }: WriteOrder): ClientHttp2Session {
  const read = (name: string): string => readFileSync(join(credentialsDirectory, name), 'utf8')
  return connect(
    `https://${address}`,
    tlsClientOptions({
      caPem: read('ca.pem'),
      trustDomain: 'cloudless',
      serverType: 'controller',
      credentials: { keyPem: read('key.pem'), certificatePem: read('cert.pem') },
    }),
  )
}

const body = toBinary(
  CreateJoinTokenRequestSchema,
  create(CreateJoinTokenRequestSchema, { ttlMs: 86_400_000n, maxUses: 1 }),
)
const headers = {
  ':method': 'POST',
  ':path': `/${CoordinatorService.typeName}/CreateJoinToken`,
  'content-type': 'application/proto',
  'connect-protocol-version': '1',
}

/** Undefined when it was acknowledged. */
function call(connection: ClientHttp2Session): Promise<string | undefined> {
  return new Promise((resolve) => {
    const stream = connection.request(headers)
    let status = 0
    let text = ''
    stream.on('response', (answer: IncomingHttpHeaders) => (status = Number(answer[':status'])))
    stream.on('data', (chunk: Buffer) => {
      if (status !== 200) text += chunk.toString()
    })
    stream.on('end', () => resolve(status === 200 ? undefined : `${status} ${text}`))
    stream.on('error', (reason) => resolve(String(reason)))
    stream.end(body)
  })
}
