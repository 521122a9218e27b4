/** Reads a container's log files: the newest lines, from a time on, and what comes. */
import { sleep, systemCodeOf, type Clock } from '@cloudless/base'
import { open, stat, type FileHandle } from 'node:fs/promises'
import type { LogLine, LogOptions } from '../runtime.ts'
import { newline, parseLogLine } from './log-line.ts'
import { rotatedPath } from './log-writer.ts'

interface Place {
  readonly file: FileHandle
  readonly inode: number
  readonly offset: number
}

const readBytes = 64 * 1024
const pollMs = 100
/** More than any configuration keeps. */
const filesMax = 100

export async function* readLogs(
  clock: Clock,
  logPath: string,
  options: LogOptions,
): AsyncIterable<LogLine> {
  let place = await firstPlace(logPath, options.tailLines)
  try {
    for (;;) {
      if (place !== undefined) {
        const end: number = yield* linesFrom(place, options)
        place = { ...place, offset: end }
        const next = await nextPlace(logPath, place.inode)
        if (next !== undefined) {
          // The rest of a file is written before the next one is begun.
          yield* linesFrom(place, options)
          await place.file.close()
          place = next
          continue
        }
      } else {
        place = await firstPlace(logPath, undefined)
        if (place !== undefined) continue
      }
      if (!options.follow || options.signal.aborted) return
      await sleep(clock, pollMs, options.signal)
    }
  } catch (reason) {
    if (!options.signal.aborted) throw reason
  } finally {
    await place?.file.close()
  }
}

/** Yields whole lines from the place on; returns where the first unread one begins. */
async function* linesFrom(place: Place, options: LogOptions): AsyncGenerator<LogLine, number> {
  const buffer = Buffer.allocUnsafe(readBytes)
  let { offset } = place
  for (;;) {
    options.signal.throwIfAborted()
    const { bytesRead } = await place.file.read(buffer, 0, readBytes, offset)
    const end = buffer.subarray(0, bytesRead).lastIndexOf(newline)
    if (end === -1) return offset
    for (const text of buffer.toString('utf8', 0, end).split('\n')) {
      const line = parseLogLine(text)
      if (line !== undefined && line.timestampUs >= options.sinceMs * 1000) yield line
    }
    offset += end + 1
  }
}

/** Where the newest `tailLines` begin; the oldest file's beginning when not given. */
async function firstPlace(
  logPath: string,
  tailLines: number | undefined,
): Promise<Place | undefined> {
  let left = tailLines ?? Infinity
  let place: Place | undefined
  for (let n = 0; n < filesMax; n++) {
    const file = await openIfThere(rotatedPath(logPath, n))
    if (file === undefined) break
    const { ino, size } = await file.stat()
    const found = left === Infinity ? undefined : await lineStart(file, size, left)
    await place?.file.close()
    place = { file, inode: ino, offset: found?.offset ?? 0 }
    if (found !== undefined && found.lines >= left) break
    left -= found?.lines ?? 0
  }
  return place
}

/** Where the last `wanted` lines begin, or the file's beginning and how many lines it has. */
async function lineStart(
  file: FileHandle,
  size: number,
  wanted: number,
): Promise<{ readonly offset: number; readonly lines: number }> {
  const buffer = Buffer.allocUnsafe(readBytes)
  if (wanted === 0) return { offset: size, lines: 0 }
  let lines = 0
  for (let end = size; end > 0;) {
    const start = Math.max(0, end - readBytes)
    const { bytesRead } = await file.read(buffer, 0, end - start, start)
    for (let at = bytesRead - 1; at >= 0; at--) {
      // The last line's own end does not begin another.
      if (buffer[at] !== newline || start + at === size - 1) continue
      if (++lines >= wanted) return { offset: start + at + 1, lines }
    }
    end = start
  }
  return { offset: 0, lines: size > 0 ? lines + 1 : 0 }
}

/** The file that follows the one with this inode; the oldest when that one is gone. */
async function nextPlace(logPath: string, inode: number): Promise<Place | undefined> {
  let oldest = -1
  for (let n = 0; n < filesMax; n++) {
    const found = await stat(rotatedPath(logPath, n)).catch(() => undefined)
    if (found === undefined) break
    if (found.ino === inode) return n === 0 ? undefined : placeAt(logPath, n - 1)
    oldest = n
  }
  return oldest === -1 ? undefined : placeAt(logPath, oldest)
}

async function placeAt(logPath: string, n: number): Promise<Place | undefined> {
  const file = await openIfThere(rotatedPath(logPath, n))
  if (file === undefined) return undefined
  const { ino } = await file.stat()
  return { file, inode: ino, offset: 0 }
}

async function openIfThere(path: string): Promise<FileHandle | undefined> {
  try {
    return await open(path, 'r')
  } catch (reason) {
    if (systemCodeOf(reason) === 'ENOENT') return undefined
    throw reason
  }
}
