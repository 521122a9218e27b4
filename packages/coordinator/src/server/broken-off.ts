/**
 * The answer to a call that was sent on to another coordinator and broke off there. It is `unavailable` in the caller's
 * own protocol, because a stream that only ends is waited for by some clients until their deadline.
 */
import { constants } from 'node:http2'
import { encodeEnvelope, endStreamFlag } from '@cloudless/api'
import { callerLeft } from './caller-left.ts'
import type { HttpRequest, HttpResponse } from './rpc-handler.ts'

const message =
  'the coordinator that leads went away before it answered: it is not known whether the call was done'

export function answerBrokenOff(request: HttpRequest, response: HttpResponse): void {
  if (response.writableEnded || callerLeft(response)) return
  if (response.headersSent) return reset(response)
  const contentType = request.headers['content-type'] ?? ''
  if (contentType.startsWith('application/grpc')) {
    const headers = { 'grpc-status': '14', 'grpc-message': encodeURIComponent(message) }
    begin(response, 200, { 'content-type': contentType, ...headers })
    response.end()
  } else if (contentType.startsWith('application/connect+')) {
    begin(response, 200, { 'content-type': contentType })
    const end = { error: { code: 'unavailable', message } }
    response.end(encodeEnvelope(endStreamFlag, Buffer.from(JSON.stringify(end))))
  } else {
    begin(response, 503, { 'content-type': 'application/json' })
    response.end(JSON.stringify({ code: 'unavailable', message }))
  }
}

function begin(
  response: HttpResponse,
  status: number,
  headers: Readonly<Record<string, string>>,
): void {
  response.statusCode = status
  for (const [name, value] of Object.entries(headers)) response.setHeader(name, value)
}

function reset(response: HttpResponse): void {
  if ('stream' in response) response.stream.close(constants.NGHTTP2_INTERNAL_ERROR)
  else response.destroy()
}
