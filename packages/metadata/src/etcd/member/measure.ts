/** How fast the disk of a member syncs, and how far the others are. */
import { open, rm } from 'node:fs/promises'
import { connect } from 'node:net'
import { join } from 'node:path'
import { parseAddress, type Clock } from '@cloudless/base'
import type { MeasuredDelays } from './timers.ts'

export interface MeasureOptions {
  /** On the disk that the member writes to. */
  readonly directory: string
  /** "host:port" of the other members. */
  readonly peerAddresses: readonly string[]
}

const writes = 20
const writeBytes = 4_096
/** A disk so slow that this is over first has been measured well enough. */
const syncingMsMax = 3_000
const tries = 3
const connectMsMax = 1_000

export async function measureDelays(
  clock: Clock,
  options: MeasureOptions,
): Promise<MeasuredDelays> {
  const fsyncMs = await measureSync(clock, options.directory)
  const roundTripMs = await measureRoundTripMax(clock, options.peerAddresses)
  return { fsyncMs, roundTripMs }
}

/** To the farthest of those that answer; 0 when none does. */
export async function measureRoundTripMax(
  clock: Clock,
  peerAddresses: readonly string[],
): Promise<number> {
  const all = await Promise.all(peerAddresses.map((address) => measureRoundTrip(clock, address)))
  return Math.max(0, ...all.filter((ms) => ms !== undefined))
}

/** Nearly the slowest of a few: one is left out, as it may have waited for something else. */
async function measureSync(clock: Clock, directory: string): Promise<number> {
  const path = join(directory, 'sync-measurement')
  const file = await open(path, 'w', 0o600)
  const tookMs: number[] = []
  try {
    const untilMs = clock.monotonicMs() + syncingMsMax
    for (let n = 0; n < writes && clock.monotonicMs() < untilMs; n++) {
      const startMs = clock.monotonicMs()
      await file.write(Buffer.alloc(writeBytes, n))
      await file.datasync()
      tookMs.push(clock.monotonicMs() - startMs)
    }
  } finally {
    await file.close()
    await rm(path, { force: true })
  }
  tookMs.sort((a, b) => a - b)
  return tookMs.at(-2) ?? tookMs.at(-1) ?? 0
}

/** The shortest of a few, as we may be busy ourselves; undefined when there is no answer. */
async function measureRoundTrip(clock: Clock, address: string): Promise<number | undefined> {
  let shortestMs: number | undefined
  for (let n = 0; n < tries; n++) {
    const startMs = clock.monotonicMs()
    if (!(await acceptsConnections(clock, address))) return undefined
    const tookMs = clock.monotonicMs() - startMs
    shortestMs = Math.min(shortestMs ?? tookMs, tookMs)
  }
  return shortestMs
}

/** Whether something listens at "host:port". */
export function acceptsConnections(clock: Clock, address: string): Promise<boolean> {
  const { host, port } = parseAddress(address)!
  return new Promise((resolve) => {
    const socket = connect({ host, port })
    const cancel = clock.after(connectMsMax, () => end(false))
    function end(answer: boolean): void {
      cancel()
      socket.destroy()
      resolve(answer)
    }
    socket.once('connect', () => end(true))
    socket.once('error', () => end(false))
  })
}
