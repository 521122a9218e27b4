/**
 * The agents' sessions, read and written straight on their HTTP/2 streams.
 *
 * Thousands of agents say a few words each second. The RPC library carries each of them through a dozen layers of
 * asynchronous iteration, which cost several times what everything else does for it, TLS included. This is the same
 * protocol, Connect in protobuf, with nothing in between. What is not exactly that (gRPC, JSON, compressed requests,
 * deadlines, HTTP/1.1) goes the library's way; `isDirectStream` says which is which.
 *
 * The order a call goes through is the library's: right and rate before its body, then each message's size, form and
 * right. The answer to a refusal is the same too: status 200, and the error at the end of the stream.
 */
import type { ServerHttp2Stream } from 'node:http2'
import { promisify } from 'node:util'
import { gzip } from 'node:zlib'
import {
  toBinary,
  create,
  type DescMessage,
  type DescMethod,
  type Message,
} from '@bufbuild/protobuf'
import { compressedFlag, encodeEnvelope, EnvelopeReader, endStreamFlag } from '@cloudless/api'
import { CloudlessError } from '@cloudless/base'
import type { ConnectError } from '@connectrpc/connect'
import { endStreamToJson } from '@connectrpc/connect/protocol-connect'
import { createOutcomeReporter } from './call-observer.ts'
import {
  DirectContext,
  onRequestEnd,
  parseMessage,
  requireAdmission,
  type DirectCall,
  type DirectCallDeps,
  type DirectMethod,
  type RequestHeader,
} from './direct-call.ts'
import { MessageInbox } from './message-inbox.ts'
import { requireOwnVoice } from './request-gate.ts'

const contentType = 'application/connect+proto'
const gzipAsync = promisify(gzip)

/** Whether it is a stream as our agents open it. */
export function isDirectStream(header: RequestHeader): boolean {
  return (
    header['content-type'] === contentType &&
    header['connect-timeout-ms'] === undefined &&
    (header['connect-content-encoding'] ?? 'identity') === 'identity' &&
    (header['connect-protocol-version'] ?? '1') === '1'
  )
}

/** Serves it to its end. `stream` is one whose request `isDirectStream` has let through. */
export function serveDirectStream(
  deps: DirectCallDeps,
  served: DirectMethod,
  given: DirectCall,
): void {
  const { stream, call, header } = given
  const answer = new Answer({
    stream,
    served,
    headers: given.answerHeaders,
    mayCompress: acceptsGzip(header),
  })
  const report = createOutcomeReporter(deps, served.method, call)
  const { method } = served
  const source = { done: (): void => undefined }
  const inbox = receive(deps, served, { stream, call, fail: (reason) => end(reason) })
  const gone = new AbortController()
  const context = new DirectContext(method, given, { signal: gone.signal })

  /** The first end is the one that counts. */
  function end(reason: unknown): void {
    if (answer.isEnded) return
    answer.end(report(reason))
    inbox.close()
    gone.abort(reason)
    source.done()
  }

  stream.on('error', () => undefined) // It is closed next, which is what we act on.
  stream.once('close', () => end(new CloudlessError('cancelled', 'the caller went away')))
  call.ended.addEventListener('abort', () => end(call.ended.reason), { once: true })
  try {
    requireAdmission(deps, call, method)
  } catch (reason) {
    end(reason)
    return
  }
  const answers = served.handler(inbox, context) as AsyncIterable<Message>
  const messages = answers[Symbol.asyncIterator]()
  // A handler that waits for something else is not waited for.
  source.done = () => void messages.return?.().catch(() => undefined)
  void sendAll(deps, answer, method, messages).then(() => end(undefined), end)
}

async function sendAll(
  { observer }: DirectCallDeps,
  answer: Answer,
  method: DescMethod,
  messages: AsyncIterator<Message>,
): Promise<void> {
  for (;;) {
    const next = await messages.next()
    if (next.done === true || answer.isEnded) return
    observer.streamMessage?.(method, 'sent')
    const room = answer.send(next.value)
    if (room !== undefined) await room
  }
}

/** Puts what comes on the stream into an inbox, checked, and holds the sender when nobody takes it out. */
function receive(
  { clock, observer }: DirectCallDeps,
  { method, messageBytesMax }: DirectMethod,
  {
    stream,
    call,
    fail,
  }: Pick<DirectCall, 'stream' | 'call'> & { readonly fail: (reason: unknown) => void },
): MessageInbox<Message> {
  const reader = new EnvelopeReader(messageBytesMax)
  const inbox = new MessageInbox<Message>({
    pause: () => stream.pause(),
    resume: () => stream.resume(),
  })
  stream.on('data', (chunk: Buffer) => {
    try {
      for (const { flags, content } of reader.read(chunk)) {
        if (flags !== 0)
          throw new CloudlessError('invalid_argument', `a message with flags ${flags}`)
        const message = parseMessage(method.input, content)
        observer.streamMessage?.(method, 'received')
        requireOwnVoice(call.connection.peerAt(clock.wallMs()), method, message)
        inbox.push(message)
      }
    } catch (reason) {
      fail(reason)
    }
  })
  onRequestEnd(stream, () => {
    if (reader.isWithin) fail(new CloudlessError('invalid_argument', 'ended within a message'))
    inbox.end()
  })
  return inbox
}

interface AnswerOptions {
  readonly stream: ServerHttp2Stream
  readonly served: DirectMethod
  readonly headers: Readonly<Record<string, string>>
  readonly mayCompress: boolean
}

/** What goes back on the stream. */
class Answer {
  readonly #stream: ServerHttp2Stream
  readonly #schema: DescMessage
  readonly #compressMinBytes: number
  isEnded = false

  constructor({ stream, served, headers, mayCompress }: AnswerOptions) {
    this.#stream = stream
    this.#schema = served.method.output
    this.#compressMinBytes = mayCompress ? served.compressMinBytes : Number.POSITIVE_INFINITY
    if (stream.destroyed) return
    stream.respond({
      ':status': 200,
      'content-type': contentType,
      'connect-accept-encoding': 'gzip',
      ...(mayCompress ? { 'connect-content-encoding': 'gzip' } : {}),
      ...headers,
    })
  }

  /** Undefined, or what resolves when the next may be sent. */
  send(message: Message): Promise<void> | undefined {
    const content = toBinary(this.#schema, create(this.#schema, message))
    if (content.byteLength >= this.#compressMinBytes) return this.#sendCompressed(content)
    return this.#write(encodeEnvelope(0, content))
  }

  end(error: ConnectError | undefined): void {
    if (this.isEnded) return
    this.isEnded = true
    const stream = this.#stream
    if (stream.destroyed || stream.closed) return
    const json = JSON.stringify(endStreamToJson(new Headers(), error, undefined))
    stream.end(encodeEnvelope(endStreamFlag, Buffer.from(json)))
    // The caller may go on sending: nobody reads it any more.
    stream.resume()
    stream.once('finish', () => stream.close())
  }

  async #sendCompressed(content: Uint8Array): Promise<void> {
    await this.#write(encodeEnvelope(compressedFlag, await gzipAsync(content)))
  }

  #write(envelope: Buffer): Promise<void> | undefined {
    const stream = this.#stream
    if (this.isEnded || stream.destroyed || stream.write(envelope)) return undefined
    return new Promise((resolve) => {
      const go = (): void => {
        stream.off('drain', go)
        stream.off('close', go)
        resolve()
      }
      stream.on('drain', go)
      stream.on('close', go)
    })
  }
}

function acceptsGzip(header: RequestHeader): boolean {
  return String(header['connect-accept-encoding'] ?? '').includes('gzip')
}
