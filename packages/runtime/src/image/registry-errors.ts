/** What registries answer when they do not give what was asked for, as errors for people. */
import { CloudlessError, messageOf, systemCodeOf, type ErrorCode } from '@cloudless/base'
import type { ImageReference } from './reference.ts'
import type { RegistryEndpoint } from './registry-endpoint.ts'

const retryAfterMsMax = 10_000

export function errorOfStatus(response: Response): CloudlessError {
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
export function errorOfFetch(reason: unknown): CloudlessError {
  if (reason instanceof CloudlessError) return reason
  const cause = reason instanceof Error && reason.cause !== undefined ? reason.cause : reason
  const code = systemCodeOf(cause)
  const text = messageOf(cause) || code || 'the connection failed'
  return new CloudlessError('unavailable', text, { cause: reason })
}

export function noCredentials(name: string): CloudlessError {
  return new CloudlessError(
    'unauthenticated',
    `${name} wants credentials and this node has none for it`,
  )
}

/** The most telling answer decides the code: a refusal over an absence over silence. */
const codesByWeight: readonly ErrorCode[] = ['unauthenticated', 'not_found', 'failed_precondition']

/** One error for all endpoints that were tried; the last is the registry itself. */
export function summaryOf(
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
