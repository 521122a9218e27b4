/** One page of a list that fits in memory: ordered by id, the token is the last id of the page before. Pure. */
export interface PageRequest {
  /** 1 to 1000; 100 when 0. */
  readonly limit: number
  readonly continueToken: string
}

export interface Page<T> {
  readonly items: readonly T[]
  /** Empty on the last page. */
  readonly nextToken: string
  readonly total: number
}

const limitDefault = 100
const limitMax = 1_000

export function pageOf<T>(
  items: readonly T[],
  idOf: (item: T) => string,
  request: PageRequest,
): Page<T> {
  const limit = Math.min(limitMax, request.limit > 0 ? request.limit : limitDefault)
  const after = request.continueToken
  const sorted = items.toSorted((one, other) => (idOf(one) < idOf(other) ? -1 : 1))
  const rest = after === '' ? sorted : sorted.filter((item) => idOf(item) > after)
  const page = rest.slice(0, limit)
  const last = page.at(-1)
  const nextToken = rest.length > page.length && last !== undefined ? idOf(last) : ''
  return { items: page, nextToken, total: items.length }
}
