/**
 * Writes a container's log file, and remembers how far in the raw output it has come, so that together they are
 * exact: what the state file says is written is written, and what lies beyond it is written again.
 *
 *   1. the lines are written at `fileBytes`; 2. the state moves on to behind them.
 *
 * Killed between the two, the next writer cuts the file at `fileBytes` and takes the same output again. A kill cannot part
 * one small write to a file, so the state is whole. (A power cut may lose the last seconds; it does not repeat any.)
 */
import { open, rename, rm, stat, mkdir, type FileHandle } from 'node:fs/promises'
import { dirname } from 'node:path'
import { systemCodeOf } from '@cloudless/base'

export interface LogState {
  readonly logPath: string
  /** Bytes of the raw output that are in the log. */
  readonly stdoutBytes: number
  readonly stderrBytes: number
  /** The log file they are in, and how much of it counts. */
  readonly inode: number
  readonly fileBytes: number
}

export interface LogLimits {
  readonly logFileBytesMax: number
  readonly logFilesMax: number
}

/** The state is written over the old one, so it always has this size. */
const stateBytes = 4096

export class LogWriter {
  readonly #limits: LogLimits
  readonly #stateFile: FileHandle
  #logFile: FileHandle
  #state: LogState

  private constructor(
    limits: LogLimits,
    stateFile: FileHandle,
    logFile: FileHandle,
    state: LogState,
  ) {
    this.#limits = limits
    this.#stateFile = stateFile
    this.#logFile = logFile
    this.#state = state
  }

  /** Goes on with the log at `logPath` for output that begins anew. */
  static async begin(statePath: string, logPath: string, limits: LogLimits): Promise<LogWriter> {
    await mkdir(dirname(logPath), { recursive: true, mode: 0o700 })
    const logFile = await openToWrite(logPath)
    const { ino, size } = await logFile.stat()
    const stateFile = await open(statePath, 'w+', 0o600)
    const state = { logPath, stdoutBytes: 0, stderrBytes: 0, inode: ino, fileBytes: size }
    const writer = new LogWriter(limits, stateFile, logFile, state)
    await writer.#writeState(state)
    return writer
  }

  /** Goes on where an earlier process stopped; undefined when the state cannot be read. */
  static async resume(statePath: string, limits: LogLimits): Promise<LogWriter | undefined> {
    const stateFile = await open(statePath, 'r+')
    const state = await readState(stateFile)
    if (state === undefined) {
      await stateFile.close()
      return undefined
    }
    await mkdir(dirname(state.logPath), { recursive: true, mode: 0o700 })
    const logFile = await openToWrite(state.logPath)
    const { ino, size } = await logFile.stat()
    // Another file than the state's: the old one was just rotated away, and nothing in this one counts yet.
    const fileBytes = ino === state.inode ? Math.min(size, state.fileBytes) : 0
    await logFile.truncate(fileBytes)
    return new LogWriter(limits, stateFile, logFile, { ...state, inode: ino, fileBytes })
  }

  get state(): LogState {
    return this.#state
  }

  /** `lines` came from the raw output up to the given positions. */
  async append(
    lines: Uint8Array,
    positions: Pick<LogState, 'stdoutBytes' | 'stderrBytes'>,
  ): Promise<void> {
    const { fileBytes } = this.#state
    if (fileBytes > 0 && fileBytes + lines.length > this.#limits.logFileBytesMax) {
      await this.#rotate()
    }
    const at = this.#state.fileBytes
    for (let done = 0; done < lines.length;) {
      const { bytesWritten } = await this.#logFile.write(lines, done, undefined, at + done)
      done += bytesWritten
    }
    await this.#writeState({ ...this.#state, ...positions, fileBytes: at + lines.length })
  }

  async close(): Promise<void> {
    await Promise.all([this.#logFile.close(), this.#stateFile.close()])
  }

  async #rotate(): Promise<void> {
    const { logPath } = this.#state
    await this.#logFile.close()
    const { logFilesMax } = this.#limits
    await rm(rotatedPath(logPath, logFilesMax - 1), { force: true })
    for (let n = logFilesMax - 2; n >= 0; n--) {
      await renameIfThere(rotatedPath(logPath, n), rotatedPath(logPath, n + 1))
    }
    this.#logFile = await openToWrite(logPath)
    const { ino } = await this.#logFile.stat()
    await this.#writeState({ ...this.#state, inode: ino, fileBytes: 0 })
  }

  async #writeState(state: LogState): Promise<void> {
    await this.#stateFile.write(JSON.stringify(state).padEnd(stateBytes), 0)
    this.#state = state
  }
}

/** 0 is the current file. */
export function rotatedPath(logPath: string, n: number): string {
  return n === 0 ? logPath : `${logPath}.${n}`
}

async function renameIfThere(from: string, to: string): Promise<void> {
  const there = await stat(from).catch(() => undefined)
  if (there !== undefined && from !== to) await rename(from, to)
}

async function openToWrite(path: string): Promise<FileHandle> {
  try {
    return await open(path, 'r+')
  } catch (reason) {
    if (systemCodeOf(reason) !== 'ENOENT') throw reason
    return open(path, 'w+', 0o640)
  }
}

async function readState(file: FileHandle): Promise<LogState | undefined> {
  try {
    const state = JSON.parse(await file.readFile('utf8')) as LogState
    return typeof state.logPath === 'string' ? state : undefined
  } catch {
    // Cut off by a power cut; there is nothing to go on with.
    return undefined
  }
}
