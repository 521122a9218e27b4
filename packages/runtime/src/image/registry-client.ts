/**
 * The client's side of the OCI distribution protocol: manifests and blobs, from mirrors first.
 *
 * One request is tried on every endpoint, and on each a few times where trying again can help. What is thrown in the
 * end says what each of them answered.
 */
import { backoffDelayMs, CloudlessError, sleep } from '@cloudless/base'
import type { ContainerdRuntimeDeps, RegistryOptions } from '../options.ts'
import { documentBytesMax, mediaTypes, mediaTypeWithin, type Descriptor } from './manifest.ts'
import type { ImageReference } from './reference.ts'
import { basicAuthorization, parseChallenge, tokenLifeMs, tokenUrl } from './registry-auth.ts'
import { errorOfFetch, errorOfStatus, noCredentials, summaryOf } from './registry-errors.ts'
import { endpointsFor, type RegistryEndpoint } from './registry-endpoint.ts'

export interface RemoteDocument {
  readonly bytes: Uint8Array
  readonly mediaType: string
}

export interface RemoteBlob {
  /** Of the blob, where `body` begins; may be less than was asked for. */
  readonly offset: number
  readonly body: AsyncIterable<Uint8Array>
}

interface Answer {
  readonly response: Response
  readonly endpoint: RegistryEndpoint
}

const attemptsMax = 3
const answerDeadlineMs = 20_000
/** A download that stands still this long is begun again where it stood. */
const stallMs = 30_000
const backoff = { delayMsMin: 250, delayMsMax: 4_000 }

export class RegistryClient {
  readonly #deps: ContainerdRuntimeDeps
  readonly #options: RegistryOptions
  readonly #authorizations = new Map<string, { value: string; untilMs: number }>()

  constructor(deps: ContainerdRuntimeDeps, options: RegistryOptions) {
    this.#deps = deps
    this.#options = options
  }

  /** `reference` is a tag or a digest. Codes: not_found, unauthenticated, unavailable, corrupt_data. */
  async manifest(
    image: ImageReference,
    reference: string,
    signal: AbortSignal,
  ): Promise<RemoteDocument> {
    const accept = [...mediaTypes.index, ...mediaTypes.manifest].join(', ')
    const path = `manifests/${reference}`
    const { response } = await this.#request(image, path, { accept }, signal)
    const what = `manifest ${image.name}`
    const bytes = await readAll(this.#watched(response, signal), what)
    const header = response.headers.get('content-type')?.split(';')[0]?.trim() ?? ''
    const isKnown = accept.split(', ').includes(header)
    return { bytes, mediaType: isKnown ? header : mediaTypeWithin(bytes, what) }
  }

  async blob(
    image: ImageReference,
    blob: Descriptor,
    offset: number,
    signal: AbortSignal,
  ): Promise<RemoteBlob> {
    const headers: Record<string, string> = offset > 0 ? { range: `bytes=${offset}-` } : {}
    const path = `blobs/${blob.digest}`
    const { response } = await this.#request(image, path, headers, signal)
    const start = response.status === 206 ? offset : 0
    return { offset: start, body: this.#watched(response, signal) }
  }

  async #request(
    image: ImageReference,
    path: string,
    headers: Readonly<Record<string, string>>,
    signal: AbortSignal,
  ): Promise<Answer> {
    const failures: { endpoint: RegistryEndpoint; error: CloudlessError }[] = []
    for (const endpoint of endpointsFor(image.registry, this.#options)) {
      try {
        return await this.#retrying(endpoint, image, path, headers, signal)
      } catch (reason) {
        if (signal.aborted) throw reason
        failures.push({ endpoint, error: CloudlessError.from(reason) })
      }
    }
    throw summaryOf(image, failures)
  }

  async #retrying(
    endpoint: RegistryEndpoint,
    image: ImageReference,
    path: string,
    headers: Readonly<Record<string, string>>,
    signal: AbortSignal,
  ): Promise<Answer> {
    for (let attempt = 0; ; attempt++) {
      try {
        return await this.#once(endpoint, image, path, headers, signal)
      } catch (reason) {
        const error = CloudlessError.from(reason)
        const isLast = attempt + 1 >= attemptsMax
        if (signal.aborted || isLast || !error.retryable) throw error
        const askedMs = Number(error.details['retryAfterMs'] ?? 0)
        const delayMs = Math.max(askedMs, backoffDelayMs(this.#deps.random, attempt, backoff))
        await sleep(this.#deps.clock, delayMs, signal)
      }
    }
  }

  async #once(
    endpoint: RegistryEndpoint,
    image: ImageReference,
    path: string,
    headers: Readonly<Record<string, string>>,
    signal: AbortSignal,
  ): Promise<Answer> {
    const url = `${endpoint.origin}/v2/${image.repository}/${path}`
    const key = `${endpoint.origin} ${image.repository}`
    const known = this.#authorizations.get(key)
    const isFresh = known !== undefined && known.untilMs > this.#deps.clock.monotonicMs()
    let response = await this.#fetch(
      url,
      withAuthorization(headers, isFresh && known.value),
      signal,
    )
    if (response.status === 401) {
      const challenge = response.headers.get('www-authenticate') ?? ''
      await response.body?.cancel()
      const authorization = await this.#authorize(endpoint, image, challenge, signal)
      this.#authorizations.set(key, authorization)
      response = await this.#fetch(url, withAuthorization(headers, authorization.value), signal)
    }
    if (response.ok) return { response, endpoint }
    await response.body?.cancel()
    throw errorOfStatus(response)
  }

  async #authorize(
    endpoint: RegistryEndpoint,
    image: ImageReference,
    header: string,
    signal: AbortSignal,
  ): Promise<{ value: string; untilMs: number }> {
    const challenge = parseChallenge(header)
    const credential = endpoint.credentials[0]
    const nowMs = this.#deps.clock.monotonicMs()
    if (challenge?.kind === 'basic' && credential !== undefined) {
      return { value: basicAuthorization(credential), untilMs: Infinity }
    }
    if (challenge?.kind !== 'bearer') throw noCredentials(endpoint.name)
    const scope = `repository:${image.repository}:pull`
    const url = tokenUrl(challenge, scope, endpoint.isInsecure)
    const authorization = credential === undefined ? false : basicAuthorization(credential)
    const response = await this.#fetch(url.href, withAuthorization({}, authorization), signal)
    if (!response.ok) {
      await response.body?.cancel()
      throw errorOfStatus(response)
    }
    const body = await readAll(this.#watched(response, signal), `token of ${endpoint.name}`)
    const answer = JSON.parse(new TextDecoder().decode(body)) as Record<string, unknown>
    const token = answer['token'] ?? answer['access_token']
    if (typeof token !== 'string') throw noCredentials(endpoint.name)
    return { value: `Bearer ${token}`, untilMs: nowMs + tokenLifeMs(answer['expires_in']) }
  }

  async #fetch(
    url: string,
    headers: Readonly<Record<string, string>>,
    signal: AbortSignal,
  ): Promise<Response> {
    const answered = new AbortController()
    const cancel = this.#deps.clock.after(answerDeadlineMs, () => {
      answered.abort(
        new CloudlessError('deadline_exceeded', `no answer within ${answerDeadlineMs} ms`),
      )
    })
    try {
      return await fetch(url, {
        headers: { 'user-agent': 'cloudless', ...headers },
        signal: AbortSignal.any([signal, answered.signal]),
      })
    } catch (reason) {
      signal.throwIfAborted()
      throw errorOfFetch(reason)
    } finally {
      cancel()
    }
  }

  /** The body, given up when it stands still. */
  async *#watched(response: Response, signal: AbortSignal): AsyncIterable<Uint8Array> {
    const reader = response.body?.getReader()
    if (reader === undefined) return
    const { clock } = this.#deps
    try {
      for (;;) {
        const stalled = new AbortController()
        const cancel = clock.after(stallMs, () => stalled.abort())
        const ended = AbortSignal.any([signal, stalled.signal])
        const onEnd = (): void => void reader.cancel().catch(() => {})
        ended.addEventListener('abort', onEnd, { once: true })
        const part = await reader.read().finally(cancel)
        ended.removeEventListener('abort', onEnd)
        signal.throwIfAborted()
        if (stalled.signal.aborted) {
          throw new CloudlessError('deadline_exceeded', `no data for ${stallMs} ms`)
        }
        if (part.done) return
        yield part.value
      }
    } catch (reason) {
      signal.throwIfAborted()
      throw errorOfFetch(reason)
    } finally {
      // Ended early by the reader of this generator: the connection is not wanted any more.
      await reader.cancel().catch(() => {})
    }
  }
}

async function readAll(body: AsyncIterable<Uint8Array>, what: string): Promise<Uint8Array> {
  const parts: Uint8Array[] = []
  let bytes = 0
  for await (const part of body) {
    bytes += part.length
    if (bytes > documentBytesMax) {
      throw new CloudlessError('corrupt_data', `${what} has more than ${documentBytesMax} bytes.`)
    }
    parts.push(part)
  }
  return Buffer.concat(parts)
}

function withAuthorization(
  headers: Readonly<Record<string, string>>,
  authorization: string | false,
): Readonly<Record<string, string>> {
  return authorization === false ? headers : { ...headers, authorization }
}
