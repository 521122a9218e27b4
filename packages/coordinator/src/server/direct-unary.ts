/**
 * Unary calls, read and answered straight on their HTTP/2 streams, as `direct-stream.ts` does for the agents' sessions.
 *
 * The CLI, agents and our own tools all call this way: Connect in protobuf. On the library's way a call that writes costs
 * more processor time for its dozen asynchronous layers than for its write. What is not exactly this protocol (gRPC, JSON,
 * compressed requests, HTTP/1.1) goes that way; `isDirectUnary` says which is which.
 *
 * The order is the library's: right and rate before the body, then the message's size, form and right, then the handler.
 */
import { promisify } from 'node:util'
import { gzip } from 'node:zlib'
import { create, toBinary, type Message } from '@bufbuild/protobuf'
import { CloudlessError } from '@cloudless/base'
import type { ConnectError } from '@connectrpc/connect'
import { codeToHttpStatus, errorToJsonBytes } from '@connectrpc/connect/protocol-connect'
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
import { requireOwnVoice } from './request-gate.ts'

const contentType = 'application/proto'
const timeoutShape = /^[1-9]\d{0,9}$/
const gzipAsync = promisify(gzip)
const nothing = new Uint8Array()

export function isDirectUnary(header: RequestHeader): boolean {
  const timeout = header['connect-timeout-ms']
  return (
    header[':method'] === 'POST' &&
    header['content-type'] === contentType &&
    (header['content-encoding'] ?? 'identity') === 'identity' &&
    (header['connect-protocol-version'] ?? '1') === '1' &&
    (timeout === undefined || timeoutShape.test(String(timeout)))
  )
}

/** Serves it to its end. `given.stream` is one whose request `isDirectUnary` has let through; `ending` ends the call. */
export function serveDirectUnary(
  deps: DirectCallDeps,
  served: DirectMethod,
  given: DirectCall & { readonly ending: AbortController },
): void {
  const { clock } = deps
  const { method } = served
  const { stream, call, ending } = given
  const report = createOutcomeReporter(deps, method, call)
  const deadline = deadlineOf(deps, given)
  let isAnswered = false

  /** The first answer is the one that counts. */
  function answer(reason: unknown, body = nothing): void {
    if (isAnswered) return
    isAnswered = true
    deadline.cancel()
    const error = report(reason)
    if (error === undefined) void sendMessage(given, served, body)
    else sendError(given, error)
  }

  stream.on('error', () => undefined) // It is closed next, which is what we act on.
  stream.once('close', () => {
    if (!isAnswered) ending.abort(new CloudlessError('cancelled', 'the caller went away'))
  })
  call.ended.addEventListener('abort', () => answer(call.ended.reason), { once: true })
  if (call.ended.aborted) return answer(call.ended.reason)
  try {
    requireAdmission(deps, call, method)
  } catch (reason) {
    return answer(reason)
  }
  const context = new DirectContext(method, given, { signal: call.ended, ...deadline })
  async function serve(): Promise<void> {
    const request = parseMessage(method.input, await readBody(given, served))
    requireOwnVoice(call.connection.peerAt(clock.wallMs()), method, request)
    const result = await served.handler(request, context)
    answer(undefined, toBinary(method.output, create(method.output, result as Message)))
  }
  serve().catch((reason: unknown) => answer(reason))
}

/** Ends the call when the time is over that its caller gives it. */
function deadlineOf(
  { clock }: DirectCallDeps,
  { header, ending }: DirectCall & { readonly ending: AbortController },
): { readonly timeoutMs?: () => number; readonly cancel: () => void } {
  const given = header['connect-timeout-ms']
  if (given === undefined) return { cancel: () => undefined }
  const untilMs = clock.monotonicMs() + Number(given)
  const cancel = clock.after(Number(given), () => {
    const message = `the call took longer than the ${String(given)} ms that its caller gave it`
    ending.abort(new CloudlessError('deadline_exceeded', message))
  })
  const timeoutMs = (): number => Math.max(1, Math.ceil(untilMs - clock.monotonicMs()))
  return { timeoutMs, cancel }
}

function readBody({ stream }: DirectCall, { messageBytesMax }: DirectMethod): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = []
    let bytes = 0
    stream.on('data', (chunk: Buffer) => {
      bytes += chunk.byteLength
      if (bytes <= messageBytesMax) return void chunks.push(chunk)
      chunks.length = 0
      const message = `the request is larger than the ${messageBytesMax} bytes that a message may have`
      reject(new CloudlessError('resource_exhausted', message))
    })
    onRequestEnd(stream, () => resolve(chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks)))
  })
}

async function sendMessage(
  given: DirectCall,
  { compressMinBytes }: DirectMethod,
  body: Uint8Array,
): Promise<void> {
  const mayCompress = String(given.header['accept-encoding'] ?? '').includes('gzip')
  if (!mayCompress || body.byteLength < compressMinBytes) return send(given, 200, { body })
  const headers = { 'content-encoding': 'gzip' }
  send(given, 200, { body: await gzipAsync(body), headers })
}

function sendError(given: DirectCall, error: ConnectError): void {
  const headers = {
    ...Object.fromEntries(error.metadata.entries()),
    'content-type': 'application/json',
  }
  send(given, codeToHttpStatus(error.code), { body: errorToJsonBytes(error, undefined), headers })
}

function send(
  { stream, answerHeaders }: DirectCall,
  status: number,
  { body, headers }: { readonly body: Uint8Array; readonly headers?: Record<string, string> },
): void {
  if (stream.destroyed || stream.closed) return
  stream.respond({
    ':status': status,
    'content-type': contentType,
    'content-length': body.byteLength,
    'accept-encoding': 'gzip',
    ...answerHeaders,
    ...headers,
  })
  stream.end(body)
  if (stream.readableEnded) return
  // The caller may go on sending: nobody reads it any more.
  stream.resume()
  stream.once('finish', () => stream.close())
}
