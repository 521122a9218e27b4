/**
 * A message that cannot be read is the caller's mistake. The RPC library says so for JSON, but calls undecodable binary
 * an internal error of ours; this puts the status right: in streams where it is thrown, in unary calls on its way out.
 */
import { Code, ConnectError } from '@connectrpc/connect'
import type { UniversalServerResponse } from '@connectrpc/connect/protocol'

const prefix = 'parse binary: '

/** For what reading the messages of a stream has thrown. */
export function explainParseError(reason: unknown): unknown {
  const isParseError =
    reason instanceof ConnectError &&
    reason.code === Code.Internal &&
    reason.rawMessage.startsWith(prefix)
  return isParseError
    ? new ConnectError(explained(reason.rawMessage), Code.InvalidArgument)
    : reason
}

/** The same answer, with INVALID_ARGUMENT where the library gave up on reading a unary call's binary message. */
export async function withParseErrorsExplained(
  answer: UniversalServerResponse,
): Promise<UniversalServerResponse> {
  const { body, header, trailer } = answer
  if (body === undefined) return answer
  if (trailer !== undefined) return { ...answer, body: explainedAfter(body, trailer) }
  if (header?.get('content-type')?.startsWith('application/grpc-web')) {
    return { ...answer, body: explainedWithin(body) }
  }
  if (answer.status !== 500 || header === undefined || header.has('content-encoding')) return answer
  return explainUnary(answer, body, header)
}

/** gRPC: the code is in the trailers, which are complete once the body has been sent. */
async function* explainedAfter(
  body: AsyncIterable<Uint8Array>,
  trailer: Headers,
): AsyncGenerator<Uint8Array> {
  yield* body
  const message = decodeURIComponent(trailer.get('grpc-message') ?? '')
  if (trailer.get('grpc-status') !== String(Code.Internal) || !message.startsWith(prefix)) return
  trailer.set('grpc-status', String(Code.InvalidArgument))
  trailer.set('grpc-message', encodeURIComponent(explained(message)))
}

/** The flag of gRPC-web's last frame, which carries the trailers. Alone, it is the whole answer to a failed call. */
const trailersFlag = 0x80
const frameHeaderBytes = 5

/** gRPC-web: the code is in the trailers at the end of the body. */
async function* explainedWithin(body: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  for await (const frame of body) {
    const text = Buffer.from(frame.subarray(frameHeaderBytes)).toString()
    const isParseError =
      frame[0] === trailersFlag &&
      new RegExp(`^grpc-status: ?${Code.Internal}\\r?$`, 'm').test(text) &&
      text.includes(`grpc-message: ${encodeURIComponent(prefix)}`)
    yield isParseError ? trailersFrame(text) : frame
  }
}

function trailersFrame(text: string): Uint8Array {
  const told = text.replace(/^grpc-status: ?\d+/m, `grpc-status: ${Code.InvalidArgument}`)
  const header = Buffer.alloc(frameHeaderBytes)
  header[0] = trailersFlag
  header.writeUInt32BE(Buffer.byteLength(told), 1)
  return Buffer.concat([header, Buffer.from(told)])
}

/** Connect: the status is HTTP's and the code is in the JSON body. */
async function explainUnary(
  answer: UniversalServerResponse,
  body: AsyncIterable<Uint8Array>,
  header: Headers,
): Promise<UniversalServerResponse> {
  const bytes = Buffer.concat(await Array.fromAsync(body))
  const error = JSON.parse(bytes.toString()) as { code?: string; message?: string }
  const parseError = error.code === 'internal' && error.message?.startsWith(prefix) === true
  if (!parseError) return { ...answer, body: once(bytes) }
  const text = JSON.stringify({ code: 'invalid_argument', message: explained(error.message!) })
  header.set('content-length', String(Buffer.byteLength(text)))
  return { ...answer, status: 400, header, body: once(Buffer.from(text)) }
}

function explained(message: string): string {
  return `the request is not a message of this method: ${message.slice(prefix.length)}`
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes
}
