/** Requests per client: a token bucket each. Pure but for the table it keeps, which is bounded. */
import type { Clock } from '@cloudless/base'

export interface RateLimitOptions {
  /** 100 when not given. */
  readonly perSecond?: number
  /** Requests that may come at once; 200 when not given. */
  readonly burst?: number
  /** Clients remembered; the one idle longest is forgotten first. 10,000 when not given. */
  readonly clientsMax?: number
}

interface Bucket {
  tokens: number
  filledAtMs: number
}

export class RateLimiter {
  readonly #clock: Clock
  readonly #perSecond: number
  readonly #burst: number
  readonly #clientsMax: number
  /** In the order of their last request. */
  readonly #buckets = new Map<string, Bucket>()

  constructor(clock: Clock, options: RateLimitOptions = {}) {
    this.#clock = clock
    this.#perSecond = options.perSecond ?? 100
    this.#burst = options.burst ?? 200
    this.#clientsMax = options.clientsMax ?? 10_000
  }

  /** 0 when the client may go on; otherwise the milliseconds until it may. */
  take(client: string): number {
    const nowMs = this.#clock.monotonicMs()
    const bucket = this.#buckets.get(client) ?? { tokens: this.#burst, filledAtMs: nowMs }
    const gained = ((nowMs - bucket.filledAtMs) / 1_000) * this.#perSecond
    bucket.tokens = Math.min(this.#burst, bucket.tokens + gained)
    bucket.filledAtMs = nowMs
    this.#buckets.delete(client)
    this.#buckets.set(client, bucket)
    if (this.#buckets.size > this.#clientsMax) {
      for (const oldest of this.#buckets.keys()) {
        this.#buckets.delete(oldest)
        break
      }
    }
    if (bucket.tokens < 1) return Math.ceil(((1 - bucket.tokens) / this.#perSecond) * 1_000)
    bucket.tokens -= 1
    return 0
  }
}
