/**
 * The two calls of an agent, to enrol and to open its session, spoken straight on HTTP/2: the same bytes as the real
 * agent's, without the library's layers, so that thousands of agents fit beside the coordinator that is measured.
 */
import { once } from 'node:events'
import {
  connect,
  type ClientHttp2Session,
  type ClientHttp2Stream,
  type IncomingHttpHeaders,
} from 'node:http2'
import { createSecureContext, type SecureContext } from 'node:tls'
import { buffer } from 'node:stream/consumers'
import { create, fromBinary, toBinary } from '@bufbuild/protobuf'
import {
  AgentMessageSchema,
  compressedFlag,
  CoordinatorMessageSchema,
  CoordinatorService,
  EnrollNodeRequestSchema,
  EnrollNodeResponseSchema,
  encodeEnvelope,
  EnvelopeReader,
  endStreamFlag,
  type AgentMessage,
  type CoordinatorMessage,
  type EnrollNodeRequest,
  type EnrollNodeResponse,
} from '@cloudless/api'
import { coordinatorServerName, type Credentials } from '@cloudless/identity'
import { gunzipSync } from 'node:zlib'

export interface HollowSession {
  send(message: AgentMessage['message']): void
  /** Rejects when it ends, with why. */
  readonly ended: Promise<never>
  close(): void
}

/** On a connection of its own, without a certificate. Rejects with what the coordinator says. */
export async function enrollNode(
  { address, caPem }: { readonly address: string; readonly caPem: string },
  request: EnrollNodeRequest,
): Promise<EnrollNodeResponse> {
  const connection = dial(address, { caPem })
  const failed = once(connection, 'error').then(([reason]) => Promise.reject(reason as Error))
  try {
    return await Promise.race([failed, answered(connection, request)])
  } finally {
    failed.catch(() => undefined) // It was raced, and may fail once more when it is closed.
    connection.destroy()
  }
}

async function answered(
  connection: ClientHttp2Session,
  request: EnrollNodeRequest,
): Promise<EnrollNodeResponse> {
  const stream = connection.request({
    ...headersOf('EnrollNode'),
    'content-type': 'application/proto',
  })
  stream.end(toBinary(EnrollNodeRequestSchema, request))
  const [headers] = (await once(stream, 'response')) as [IncomingHttpHeaders]
  const body = await buffer(stream)
  if (Number(headers[':status']) === 200) return fromBinary(EnrollNodeResponseSchema, body)
  throw new Error(`enrolling: ${headers[':status']} ${body.toString()}`)
}

function headersOf(method: 'EnrollNode' | 'Session') {
  return {
    ':method': 'POST',
    ':path': `/${CoordinatorService.typeName}/${method}`,
    'connect-protocol-version': '1',
  }
}

/** Without a certificate, as all are before they are members: made once. */
const strangers = new Map<string, SecureContext>()

/** The chain of the server's certificate is checked as ever; whether its name is a coordinator's is not, which costs more. */
function dial(
  address: string,
  { caPem, credentials }: { readonly caPem: string; readonly credentials?: Credentials },
): ClientHttp2Session {
  const secureContext = credentials ? memberOf(credentials) : strangerOf(caPem)
  return connect(`https://${address}`, {
    ...{ secureContext, servername: coordinatorServerName },
    checkServerIdentity: () => undefined,
  })
}

function strangerOf(caPem: string): SecureContext {
  const known = strangers.get(caPem) ?? createSecureContext({ ca: caPem, minVersion })
  strangers.set(caPem, known)
  return known
}

function memberOf({ caPem, certificatePem, keyPem }: Credentials): SecureContext {
  return createSecureContext({ ca: caPem, cert: certificatePem, key: keyPem, minVersion })
}

const minVersion = 'TLSv1.3'
const messageBytesMax = 4 * 1024 * 1024

export function openSession(
  address: string,
  credentials: Credentials,
  onMessage: (message: CoordinatorMessage) => void,
): HollowSession {
  const connection = dial(address, { caPem: credentials.caPem, credentials })
  const ended = Promise.withResolvers<never>()
  const fail = (reason: Error): void => {
    ended.reject(reason)
    connection.destroy()
  }
  connection.on('error', fail)
  connection.once('close', () => fail(new Error('the connection was closed')))
  const stream = connection.request({
    ...headersOf('Session'),
    'content-type': 'application/connect+proto',
    'connect-accept-encoding': 'gzip',
  })
  stream.on('error', fail)
  stream.once('close', () => fail(new Error('the session was closed')))
  readMessages(stream, onMessage, fail)
  return {
    send(message) {
      if (stream.destroyed) return
      stream.write(
        encodeEnvelope(0, toBinary(AgentMessageSchema, create(AgentMessageSchema, { message }))),
      )
    },
    ended: ended.promise,
    close: () => connection.destroy(),
  }
}

function readMessages(
  stream: ClientHttp2Stream,
  onMessage: (message: CoordinatorMessage) => void,
  onEnd: (reason: Error) => void,
): void {
  const reader = new EnvelopeReader(messageBytesMax)
  stream.on('data', (chunk: Buffer) => {
    for (const { flags, content } of reader.read(chunk)) {
      if ((flags & endStreamFlag) !== 0) return onEnd(new Error(`ended: ${content.toString()}`))
      const plain = (flags & compressedFlag) === 0 ? content : gunzipSync(content)
      onMessage(fromBinary(CoordinatorMessageSchema, plain))
    }
  })
}
