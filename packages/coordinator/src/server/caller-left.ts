import type { HttpResponse } from './rpc-handler.ts'

/** Nobody is left to answer. Of HTTP/2 only the stream knows: its response has no `destroyed`, whatever its type says. */
export function callerLeft(response: HttpResponse): boolean {
  return 'stream' in response ? response.stream.destroyed : response.destroyed
}
