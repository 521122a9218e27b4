/** What calls served straight on their HTTP/2 streams have in common, unary or not. */
import type { ServerHttp2Stream } from 'node:http2'
import { fromBinary, type DescMessage, type DescMethod, type Message } from '@bufbuild/protobuf'
import { CloudlessError, messageOf, type Clock } from '@cloudless/base'
import { createContextValues, type ContextValues, type HandlerContext } from '@connectrpc/connect'
import { callContextKey, type CallContext } from './call-context.ts'
import type { CallObserver } from './call-observer.ts'
import { requireRate, requireRight } from './request-gate.ts'
import type { RateLimiter } from './rate-limiter.ts'

export type RequestHeader = NodeJS.Dict<string | string[]>

export interface DirectCallDeps {
  readonly clock: Clock
  readonly observer: CallObserver
  readonly limiter: RateLimiter
}

export interface DirectCall {
  readonly stream: ServerHttp2Stream
  readonly header: RequestHeader
  readonly call: CallContext
  /** Such as its ids. */
  readonly answerHeaders: Readonly<Record<string, string>>
}

export interface DirectMethod {
  readonly method: DescMethod
  /** Given a message, or an iterable of them; answers likewise. */
  readonly handler: (input: object, context: HandlerContext) => unknown
  readonly messageBytesMax: number
  /** Smaller answers are sent as they are. */
  readonly compressMinBytes: number
}

/** Throws what the caller is to be told. Nothing of the body is read before. */
export function requireAdmission(
  { limiter }: DirectCallDeps,
  { peer, clientName }: CallContext,
  method: DescMethod,
): void {
  requireRight(peer, method)
  requireRate(limiter, clientName, method)
}

/** Calls `act` when all of the request has been read: an empty one may have been, while its call waited to be served. */
export function onRequestEnd(stream: ServerHttp2Stream, act: () => void): void {
  if (stream.readableEnded) act()
  else stream.once('end', act)
}

/** `invalid_argument` when it is none. */
export function parseMessage(schema: DescMessage, content: Uint8Array): Message {
  try {
    return fromBinary(schema, content)
  } catch (reason) {
    const message = `the request is not a message of this method: ${messageOf(reason)}`
    throw new CloudlessError('invalid_argument', message, { cause: reason })
  }
}

/** For handlers. Most of them look at hardly anything of it, so the rest is made when it is asked for. */
export class DirectContext implements HandlerContext {
  readonly method: DescMethod
  readonly protocolName = 'connect'
  readonly requestMethod = 'POST'
  readonly signal: AbortSignal
  readonly values: ContextValues
  readonly timeoutMs: () => number | undefined
  readonly #header: RequestHeader

  constructor(
    method: DescMethod,
    { header, call }: DirectCall,
    ends: { readonly signal: AbortSignal; readonly timeoutMs?: () => number },
  ) {
    this.method = method
    this.signal = ends.signal
    this.timeoutMs = ends.timeoutMs ?? (() => undefined)
    this.values = createContextValues().set(callContextKey, call)
    this.#header = header
  }

  get service() {
    return this.method.parent
  }

  get url(): string {
    return `https://${String(this.#header[':authority'] ?? 'coordinator')}${String(this.#header[':path'])}`
  }

  get requestHeader(): Headers {
    const headers = new Headers()
    for (const [name, value] of Object.entries(this.#header)) {
      if (!name.startsWith(':') && value !== undefined) headers.set(name, String(value))
    }
    return headers
  }

  /** Answers have those of the protocol and the ids of the call, no others. */
  get responseHeader(): Headers {
    return new Headers()
  }

  get responseTrailer(): Headers {
    return new Headers()
  }
}
