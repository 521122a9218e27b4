/** How registries ask who we are, and what we answer. */
import { CloudlessError } from '@cloudless/base'

export type Challenge =
  | { readonly kind: 'basic' }
  | {
      readonly kind: 'bearer'
      readonly realm: string
      readonly service: string
      readonly scope: string
    }

/** The first challenge of a WWW-Authenticate header that we can meet; undefined when there is none. */
export function parseChallenge(header: string): Challenge | undefined {
  const bearer = /\bBearer\s+(.*)/i.exec(header)
  if (bearer === null) return /\bBasic\b/i.test(header) ? { kind: 'basic' } : undefined
  const parameters = new Map<string, string>()
  for (const [, key, quoted, plain] of bearer[1]!.matchAll(/(\w+)=(?:"([^"]*)"|([^\s,]+))/g)) {
    parameters.set(key!.toLowerCase(), quoted ?? plain ?? '')
  }
  const realm = parameters.get('realm')
  if (realm === undefined) return undefined
  const service = parameters.get('service') ?? ''
  return { kind: 'bearer', realm, service, scope: parameters.get('scope') ?? '' }
}

/** Where to ask for a token. Throws unauthenticated when that is not safe to ask. */
export function tokenUrl(
  challenge: Extract<Challenge, { kind: 'bearer' }>,
  fallbackScope: string,
  isInsecure: boolean,
): URL {
  const url = URL.parse(challenge.realm)
  const isSafe = url?.protocol === 'https:' || (isInsecure && url?.protocol === 'http:')
  if (url === null || !isSafe) {
    throw new CloudlessError(
      'unauthenticated',
      `The registry sends us to ${challenge.realm} for a token, which is not an https address.`,
    )
  }
  if (challenge.service !== '') url.searchParams.set('service', challenge.service)
  url.searchParams.set('scope', challenge.scope || fallbackScope)
  return url
}

export function basicAuthorization(credential: {
  readonly username: string
  readonly password: string
}): string {
  const { username, password } = credential
  return `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`
}

/** Milliseconds a token may be used, kept on the short side; registries that say nothing mean a minute. */
export function tokenLifeMs(expiresInSeconds: unknown): number {
  const seconds = typeof expiresInSeconds === 'number' ? expiresInSeconds : 60
  return Math.max(1, Math.min(seconds, 3600) - 10) * 1000
}
