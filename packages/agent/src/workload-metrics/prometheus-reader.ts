/**
 * Takes a few figures out of a page in Prometheus' text format, as it comes in. What a workload sends is not trusted: the
 * reader holds one line at most, and of the figures only sums.
 *
 *     # HELP http_requests_total Requests.             ← skipped
 *     http_requests_total{path="/a",code="200"} 17     ← 17 is added to the sum of http_requests_total
 *     http_requests_total{path="/b"} 3 1395066363000   ← a timestamp is checked, and not used
 *     queue_wait_bucket{le="1"} 8 # {trace="x"} 0.4    ← an exemplar is skipped
 *
 * Invariants
 *   1. A name is given only if each of its lines could be read: a sum that lacks a part is worse than none.
 *   2. NaN and infinite values are no figures: their lines count for nothing, and spoil nothing.
 *   3. Whatever comes, memory stays within a line and one number for each name that was asked for.
 *
 * Lines of other names are not looked at beyond the name, so what is wrong with them harms nobody.
 */
import { CloudlessError } from '@cloudless/base'

export const metricsPageLimits = {
  /** What is longer is no page of metrics. */
  bytesMax: 1_048_576,
  /** A line of a name that was asked for may be so long; of another, any length. */
  lineBytesMax: 8_192,
} as const

const newline = 0x0a

export class PrometheusReader {
  readonly #names: ReadonlySet<string>
  readonly #sums = new Map<string, number>()
  readonly #spoilt = new Set<string>()
  /** The beginning of a line whose end has not come yet; at most lineBytesMax. */
  #line: Buffer[] = []
  #lineBytes = 0
  #bytes = 0

  constructor(names: readonly string[]) {
    this.#names = new Set(names)
  }

  /** Throws `resource_exhausted` when the page is too long. */
  push(chunk: Uint8Array): void {
    this.#bytes += chunk.byteLength
    if (this.#bytes > metricsPageLimits.bytesMax) {
      const { bytesMax } = metricsPageLimits
      throw new CloudlessError('resource_exhausted', `it has more than ${bytesMax} bytes`)
    }
    let start = 0
    for (let end = chunk.indexOf(newline); end !== -1; end = chunk.indexOf(newline, start)) {
      this.#keep(chunk.subarray(start, end))
      this.#endLine()
      start = end + 1
    }
    this.#keep(chunk.subarray(start))
  }

  /** The sums of the names that were told, once the page has ended. */
  end(): ReadonlyMap<string, number> {
    this.#endLine()
    for (const name of this.#spoilt) this.#sums.delete(name)
    for (const [name, sum] of this.#sums) if (!Number.isFinite(sum)) this.#sums.delete(name)
    return this.#sums
  }

  #keep(part: Uint8Array): void {
    const room = metricsPageLimits.lineBytesMax - this.#lineBytes
    // A copy: the caller's buffer may be a part of a larger one, or be used again.
    if (room > 0 && part.byteLength > 0) this.#line.push(Buffer.from(part.subarray(0, room)))
    this.#lineBytes += part.byteLength
  }

  #endLine(): void {
    const isCut = this.#lineBytes > metricsPageLimits.lineBytesMax
    const text = Buffer.concat(this.#line).toString('utf8').replace(/\r$/, '')
    this.#line = []
    this.#lineBytes = 0
    const name = nameOf(text)
    if (!this.#names.has(name)) return
    const value = isCut ? undefined : valueAfter(text.slice(text.indexOf(name) + name.length))
    if (value === undefined) this.#spoilt.add(name)
    else if (Number.isFinite(value)) this.#sums.set(name, (this.#sums.get(name) ?? 0) + value)
  }
}

/** Empty for comments, empty lines and what is no sample. */
function nameOf(line: string): string {
  return /^[ \t]*([a-zA-Z_:][a-zA-Z0-9_:]*)(?=[ \t{])/.exec(line)?.[1] ?? ''
}

// Patterns that take time in proportion to the text, whatever it is.
const number = /^[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?$/
const noNumber = /^(?:nan|[+-]?inf(?:inity)?)$/i
const timestamp = /^-?\d+(?:\.\d+)?$/

/**
 * Of what follows a name: its value, NaN for what is no figure; undefined when it cannot be read. After the value there may
 * be a timestamp, and after that an exemplar, which begins with "#".
 */
function valueAfter(text: string): number | undefined {
  const end = endOfLabels(text)
  if (end === undefined) return undefined
  const [figures] = text.slice(end).split('#', 1)
  const [value, time, ...more] = figures!.split(/[ \t]/).filter((word) => word !== '')
  if (value === undefined || more.length > 0) return undefined
  if (time !== undefined && !timestamp.test(time)) return undefined
  if (noNumber.test(value)) return Number.NaN
  return number.test(value) ? Number(value) : undefined
}

/** Where labels in braces end, 0 when there are none; undefined when they have no end. Text in quotes may hold braces. */
function endOfLabels(text: string): number | undefined {
  const start = /^[ \t]*\{/.exec(text)?.[0].length
  if (start === undefined) return 0
  let isQuoted = false
  for (let at = start; at < text.length; at++) {
    const character = text[at]
    if (isQuoted && character === '\\') at++
    else if (character === '"') isQuoted = !isQuoted
    else if (character === '}' && !isQuoted) return at + 1
  }
  return undefined
}
