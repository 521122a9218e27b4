/** One seed, many independent sequences: what one part draws does not move what another does. */
import { seededRandom, type Random } from '@cloudless/base'

export function forkRandom(random: Random): Random {
  return seededRandom(Math.floor(random.next() * 2 ** 32))
}

export function chance(random: Random, share: number): boolean {
  return random.next() < share
}

/** A whole number from `min` to `max`, both included. */
export function wholeBetween(random: Random, min: number, max: number): number {
  return min + Math.floor(random.next() * (max - min + 1))
}

/** Exponentially distributed: how long until something that comes once in `meanMs`. */
export function waitMs(random: Random, meanMs: number): number {
  return -Math.log(1 - random.next()) * meanMs
}

/** Of a list that is not empty. */
export function pickOne<T>(random: Random, items: readonly T[]): T {
  return items[Math.floor(random.next() * items.length)]!
}
