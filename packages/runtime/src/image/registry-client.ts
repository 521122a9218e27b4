/**
 * The client's side of the OCI distribution protocol: manifests and blobs, from mirrors first.
 *
 * One request is tried on every endpoint, and on each a few times where trying again can help. What is thrown in the
 * end says what each of them answered.
 */
import {
  backoffDelayMs,
  CloudlessError,
  messageOf,
  sleep,
  systemCodeOf,
  type ErrorCode,
} from '@cloudless/base'
import type { ContainerdRuntimeDeps, RegistryOptions } from '../options.ts'
import { documentBytesMax, mediaTypes, mediaTypeWithin, type Descriptor } from './manifest.ts'
import type { ImageReference } from './reference.ts'
import { basicAuthorization, parseChallenge, tokenLifeMs, tokenUrl } from './registry-auth.ts'
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
const retryAfterMsMax = 10_000
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

function errorOfStatus(response: Response): CloudlessError {
  const { status } = response
  const text = `HTTP ${status}`
  if (status === 404) return new CloudlessError('not_found', text)
  if (status === 401 || status === 403) return new CloudlessError('unauthenticated', text)
  const seconds = Number(response.headers.get('retry-after') ?? 0)
  const retryAfterMs = Math.min(Number.isFinite(seconds) ? seconds * 1000 : 0, retryAfterMsMax)
  const isPassing = status >= 500 || status === 429 || status === 408
  const note = status === 429 ? `${text}, too many requests` : text
  return new CloudlessError(isPassing ? 'unavailable' : 'failed_precondition', note, {
    details: { retryAfterMs },
  })
}

/** fetch hides the system's reason in `cause`; every failure of the network may pass. */
function errorOfFetch(reason: unknown): CloudlessError {
  if (reason instanceof CloudlessError) return reason
  const cause = reason instanceof Error && reason.cause !== undefined ? reason.cause : reason
  const code = systemCodeOf(cause)
  const text = messageOf(cause) || code || 'the connection failed'
  return new CloudlessError('unavailable', text, { cause: reason })
}

function noCredentials(name: string): CloudlessError {
  return new CloudlessError(
    'unauthenticated',
    `${name} wants credentials and this node has none for it`,
  )
}

/** The most telling answer decides the code: a refusal over an absence over silence. */
const codesByWeight: readonly ErrorCode[] = ['unauthenticated', 'not_found', 'failed_precondition']

function summaryOf(
  image: ImageReference,
  failures: readonly { endpoint: RegistryEndpoint; error: CloudlessError }[],
): CloudlessError {
  // An image may be missing from a mirror; only the registry itself knows that there is none.
  const own = failures.at(-1)!.error.code
  const code = codesByWeight.includes(own) ? own : 'unavailable'
  const tried = failures.map(({ endpoint, error }) => `${endpoint.name}: ${error.message}`)
  return new CloudlessError(code, `${sentenceOf(code, image)} Tried ${tried.join('; ')}.`, {
    cause: failures.at(-1)!.error,
    details: { registry: image.registry },
  })
}

function sentenceOf(code: ErrorCode, image: ImageReference): string {
  switch (code) {
    case 'not_found':
      return `There is no image ${image.name}. Check its name and tag.`
    case 'unauthenticated':
      return `The registry refused ${image.name}: it does not exist, or the node's credentials do not allow it.`
    case 'failed_precondition':
      return `The registry does not serve ${image.name}.`
    default:
      return `Could not fetch ${image.name}: the registry does not answer.`
  }
}
