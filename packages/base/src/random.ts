/** Chance as a dependency: the simulator passes a seeded source, production the system's. */
import { randomFillSync } from 'node:crypto'

export interface Random {
  /** In [0, 1). */
  next(): number
}

const drawBytes = 6
/** Drawn from the system together: a call for each would cost a hundred times as much. */
const pool = Buffer.alloc(256 * drawBytes)
let usedBytes = pool.length

export const systemRandom: Random = {
  next() {
    if (usedBytes === pool.length) {
      randomFillSync(pool)
      usedBytes = 0
    }
    usedBytes += drawBytes
    return pool.readUIntBE(usedBytes - drawBytes, drawBytes) / 2 ** 48
  },
}

/** The same seed gives the same sequence (mulberry32). Not for secrets. */
export function seededRandom(seed: number): Random {
  let state = seed >>> 0
  return {
    next() {
      state = (state + 0x6d2b79f5) >>> 0
      let mixed = state
      mixed = Math.imul(mixed ^ (mixed >>> 15), mixed | 1)
      mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
      return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
    },
  }
}

/** In [min, max). */
export function between(random: Random, min: number, max: number): number {
  return min + random.next() * (max - min)
}

export function pick<T>(random: Random, items: readonly T[]): T | undefined {
  return items[Math.floor(random.next() * items.length)]
}

const idAlphabet = 'abcdefghijkmnpqrstuvwxyz23456789'

/** Letters and digits that are not mistaken for one another; five bits each. */
export function randomId(random: Random, length: number): string {
  let id = ''
  for (let n = 0; n < length; n++) id += idAlphabet[Math.floor(random.next() * idAlphabet.length)]
  return id
}
