/** Asks a replica for its figures, once. */
import { request, type IncomingMessage, type RequestOptions } from 'node:http'
import type { MetricsEndpoint } from '@cloudless/api'
import { CloudlessError, type Clock } from '@cloudless/base'
import { PrometheusReader } from './prometheus-reader.ts'

export interface ScrapeTarget {
  readonly address: string
  readonly endpoint: Pick<MetricsEndpoint, 'port' | 'path' | 'names'>
}

/** The whole answer must be there by then. */
export const scrapeMsMax = 2_000

/** The sums of the names it tells. Rejects when there is no answer in time, or none that can be read. */
export async function scrape(
  clock: Clock,
  { address, endpoint }: ScrapeTarget,
  signal: AbortSignal,
): Promise<ReadonlyMap<string, number>> {
  const { port, path, names } = endpoint
  const deadline = new AbortController()
  const cancel = clock.after(scrapeMsMax, () => deadline.abort())
  try {
    const response = await answerOf({
      host: address,
      port,
      path: path || '/metrics',
      headers: { 'User-Agent': 'cloudless-agent', Accept: 'text/plain;version=0.0.4' },
      agent: false,
      signal: AbortSignal.any([signal, deadline.signal]),
    })
    const reader = new PrometheusReader(names)
    for await (const chunk of response) reader.push(chunk as Buffer)
    return reader.end()
  } catch (reason) {
    if (!deadline.signal.aborted) throw reason
    throw new CloudlessError('deadline_exceeded', `no answer within ${scrapeMsMax} ms`)
  } finally {
    cancel()
  }
}

/** What is not an answer to the question is not read. Redirections are not followed: they may lead anywhere. */
function answerOf(options: RequestOptions): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const sent = request(options, (response) => {
      const { statusCode, headers } = response
      const encoding = headers['content-encoding'] ?? 'identity'
      if (statusCode === 200 && encoding === 'identity') return resolve(response)
      response.destroy()
      const what = statusCode === 200 ? `the encoding ${encoding}` : `HTTP ${statusCode}`
      reject(new CloudlessError('unavailable', `it answered with ${what}`))
    })
    sent.once('error', reject)
    sent.end()
  })
}
