/** What a member remembers between its starts, of its timers and of the others. It does without when it is lost. */
import { readFileSync } from 'node:fs'
import { parseAddress, writeDurablySync } from '@cloudless/base'
import type { EtcdTimers } from './timers.ts'

export interface MemberMemory {
  /** Found necessary while it ran. */
  readonly widened?: EtcdTimers & {
    /** Unix milliseconds. */
    readonly atMs: number
  }
  /** "host:port" of the others, as last seen. */
  readonly peerAddresses: readonly string[]
}

/** What was necessary then may not be any more: a disk was replaced, a backup is over. */
const widenedForMs = 7 * 86_400_000

export function readMemory(path: string): MemberMemory {
  try {
    return parseMemory(JSON.parse(readFileSync(path, 'utf8')))
  } catch {
    return { peerAddresses: [] } // Absent, or damaged: it is found out again.
  }
}

export function writeMemory(path: string, memory: MemberMemory): void {
  writeDurablySync(path, `${JSON.stringify(memory)}\n`)
}

/** Undefined when nothing was widened, or not lately. */
export function timersRemembered(
  { widened }: MemberMemory,
  wallMs: number,
): EtcdTimers | undefined {
  if (widened === undefined || wallMs - widened.atMs > widenedForMs) return undefined
  return { heartbeatMs: widened.heartbeatMs, electionMs: widened.electionMs }
}

function parseMemory(value: unknown): MemberMemory {
  const { widened, peerAddresses } = value as Partial<MemberMemory>
  const addresses = (peerAddresses ?? []).filter((text) => parseAddress(text) !== undefined)
  const numbers = [widened?.heartbeatMs, widened?.electionMs, widened?.atMs]
  return {
    peerAddresses: addresses,
    ...(widened && numbers.every(Number.isFinite) ? { widened } : {}),
  }
}
