/** Pages of a list: at most so many at a time, in one order, resumed by the key of the last. */
import { CloudlessError } from '@cloudless/base'

export interface PageRequest {
  /** 1 to 1000; 100 when 0. */
  readonly limit: number
  readonly continueToken: string
}

export interface Page<T> {
  readonly items: readonly T[]
  /** Empty on the last page. */
  readonly nextToken: string
  /** Of all pages. */
  readonly total: number
}

const limitDefault = 100
const limitMax = 1_000

/** `keyOf` must be unique and is the order; the token names the last key that was given. */
export function pageOf<T>(
  items: readonly T[],
  keyOf: (item: T) => string,
  request: PageRequest,
): Page<T> {
  if (request.limit < 0 || request.limit > limitMax) {
    throw new CloudlessError(
      'invalid_argument',
      `limit: must be 1 to ${limitMax}, or 0 for ${limitDefault}`,
    )
  }
  const limit = request.limit || limitDefault
  const sorted = items.map((item) => ({ key: keyOf(item), item })).sort(byKey)
  const afterKey = request.continueToken === '' ? undefined : decodeToken(request.continueToken)
  const rest = afterKey === undefined ? sorted : sorted.filter(({ key }) => key > afterKey)
  const page = rest.slice(0, limit)
  const nextToken = rest.length > limit ? encodeToken(page.at(-1)!.key) : ''
  return { items: page.map(({ item }) => item), nextToken, total: items.length }
}

function byKey(a: { key: string }, b: { key: string }): number {
  return a.key < b.key ? -1 : a.key > b.key ? 1 : 0
}

const tokenPrefix = 'after:'

function encodeToken(key: string): string {
  return Buffer.from(tokenPrefix + key).toString('base64url')
}

function decodeToken(token: string): string {
  const text = Buffer.from(token, 'base64url').toString()
  if (!text.startsWith(tokenPrefix)) {
    throw new CloudlessError(
      'invalid_argument',
      'continue_token: is not one of ours; give back next_token of the page before unchanged',
    )
  }
  return text.slice(tokenPrefix.length)
}
