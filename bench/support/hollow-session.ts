/**
 * A session as an agent opens it, spoken straight on HTTP/2: the same bytes as the real agent's, without the library's
 * layers, so that thousands of agents fit beside the coordinator that is measured.
 */
import { connect, type ClientHttp2Stream } from 'node:http2'
import { create, fromBinary, toBinary } from '@bufbuild/protobuf'
import {
  AgentMessageSchema,
  compressedFlag,
  CoordinatorMessageSchema,
  encodeEnvelope,
  EnvelopeReader,
  endStreamFlag,
  type AgentMessage,
  type CoordinatorMessage,
} from '@cloudless/api'
import { tlsClientOptions, type Credentials } from '@cloudless/identity'
import { gunzipSync } from 'node:zlib'

export interface HollowSession {
  send(message: AgentMessage['message']): void
  /** Rejects when it ends, with why. */
  readonly ended: Promise<never>
  close(): void
}

const messageBytesMax = 4 * 1024 * 1024

export function openSession(
  address: string,
  credentials: Credentials,
  onMessage: (message: CoordinatorMessage) => void,
): HollowSession {
  const tls = tlsClientOptions({
    caPem: credentials.caPem,
    trustDomain: 'cloudless',
    serverType: 'controller',
    credentials,
  })
  const connection = connect(`https://${address}`, tls)
  const ended = Promise.withResolvers<never>()
  const fail = (reason: Error): void => {
    ended.reject(reason)
    connection.destroy()
  }
  connection.on('error', fail)
  connection.once('close', () => fail(new Error('the connection was closed')))
  const stream = connection.request({
    ':method': 'POST',
    ':path': '/cloudless.api.v1.CoordinatorService/Session',
    'content-type': 'application/connect+proto',
    'connect-protocol-version': '1',
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
