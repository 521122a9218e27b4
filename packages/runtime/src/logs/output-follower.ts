/** Brings one container's raw output into its log. Passes do not overlap; a pass takes what there is. */
import { open, type FileHandle } from 'node:fs/promises'
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { systemCodeOf } from '@cloudless/base'
import { formatLogLine, splitOutput } from './log-line.ts'
import type { LogWriter } from './log-writer.ts'

export interface OutputPaths {
  readonly stdout: string
  readonly stderr: string
}

const run = promisify(execFile)

const readBytes = 256 * 1024
/** Output that is further behind than this is dropped, oldest first: its writer is faster than we are. */
const backlogBytesMax = 64 * 1024 * 1024
const backlogBytesKept = 8 * 1024 * 1024
/** Consumed output is given back to the disk in pieces of this size. */
const punchBytes = 4 * 1024 * 1024
const punchDeadlineMs = 30_000
const blockBytes = 4096

type Stream = 'stdout' | 'stderr'

export class OutputFollower {
  readonly #paths: OutputPaths
  readonly #writer: LogWriter
  readonly #punchedBytes = { stdout: 0, stderr: 0 }
  #lastTimestampUs = 0
  #pass: Promise<void> = Promise.resolve()

  constructor(paths: OutputPaths, writer: LogWriter) {
    this.#paths = paths
    this.#writer = writer
  }

  /** Resolves when what was there at the call is in the log. `isLast`: an unfinished line is one, too. */
  take(isLast = false): Promise<void> {
    const pass = this.#pass.then(() => this.#takeBoth(isLast))
    // Each caller has its own failure; the next pass begins anew.
    this.#pass = pass.catch(() => {})
    return pass
  }

  async close(): Promise<void> {
    await this.#pass
    await this.#writer.close()
  }

  async #takeBoth(isLast: boolean): Promise<void> {
    await this.#takeStream('stdout', isLast)
    await this.#takeStream('stderr', isLast)
  }

  async #takeStream(stream: Stream, isLast: boolean): Promise<void> {
    const file = await openIfThere(this.#paths[stream])
    if (file === undefined) return
    try {
      const { size, mtimeMs } = await file.stat()
      const behindBytes = size - this.#positionOf(stream)
      if (behindBytes <= 0) return
      if (behindBytes > backlogBytesMax) await this.#drop(stream, size - backlogBytesKept, mtimeMs)
      await this.#copy(file, stream, { untilBytes: size, writtenMs: mtimeMs, isLast })
      await this.#punch(file, stream)
    } finally {
      await file.close()
    }
  }

  async #copy(
    file: FileHandle,
    stream: Stream,
    output: { readonly untilBytes: number; readonly writtenMs: number; readonly isLast: boolean },
  ): Promise<void> {
    const buffer = Buffer.allocUnsafe(readBytes)
    for (;;) {
      const position = this.#positionOf(stream)
      if (position >= output.untilBytes) return
      const { bytesRead } = await file.read(buffer, 0, readBytes, position)
      const isEnd = position + bytesRead >= output.untilBytes
      const { lines, consumedBytes } = splitOutput(
        buffer.subarray(0, bytesRead),
        output.isLast && isEnd,
      )
      if (consumedBytes === 0) return
      const formatted = lines.map(({ content, partial }) => {
        const timestampUs = this.#nextTimestampUs(output.writtenMs)
        return formatLogLine({ timestampUs, stream, partial }, content)
      })
      await this.#append(stream, Buffer.concat(formatted), position + consumedBytes)
    }
  }

  async #drop(stream: Stream, position: number, writtenMs: number): Promise<void> {
    const droppedBytes = position - this.#positionOf(stream)
    const text = `[${droppedBytes} bytes of output were dropped: they came faster than they could be logged]`
    const timestampUs = this.#nextTimestampUs(writtenMs)
    const line = formatLogLine({ timestampUs, stream, partial: false }, Buffer.from(text))
    await this.#append(stream, line, position)
  }

  async #append(stream: Stream, lines: Uint8Array, position: number): Promise<void> {
    const { stdoutBytes, stderrBytes } = this.#writer.state
    await this.#writer.append(lines, {
      stdoutBytes: stream === 'stdout' ? position : stdoutBytes,
      stderrBytes: stream === 'stderr' ? position : stderrBytes,
    })
  }

  /**
   * The shim appends to the file for as long as the container lives, so it is never cut: the part that is in the log
   * becomes a hole, which takes no room.
   */
  async #punch(file: FileHandle, stream: Stream): Promise<void> {
    const position = Math.floor(this.#positionOf(stream) / blockBytes) * blockBytes
    const punched = this.#punchedBytes[stream]
    if (position - punched < punchBytes) return
    const range = ['-o', String(punched), '-l', String(position - punched)]
    await run('fallocate', ['--punch-hole', ...range, this.#paths[stream]], {
      timeout: punchDeadlineMs,
    })
    this.#punchedBytes[stream] = position
  }

  #positionOf(stream: Stream): number {
    const { stdoutBytes, stderrBytes } = this.#writer.state
    return stream === 'stdout' ? stdoutBytes : stderrBytes
  }

  /** When the shim last wrote; growing, so that sorting by time keeps the order. */
  #nextTimestampUs(writtenMs: number): number {
    const timestampUs = Math.max(Math.floor(writtenMs * 1000), this.#lastTimestampUs + 1)
    this.#lastTimestampUs = timestampUs
    return timestampUs
  }
}

async function openIfThere(path: string): Promise<FileHandle | undefined> {
  try {
    return await open(path, 'r')
  } catch (reason) {
    if (systemCodeOf(reason) === 'ENOENT') return undefined
    throw reason
  }
}
