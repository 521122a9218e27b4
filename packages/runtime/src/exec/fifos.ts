/** The named pipes between us and a process in a container. */
import { constants, openSync } from 'node:fs'
import { mkdir, rm } from 'node:fs/promises'
import { execFile } from 'node:child_process'
import { Socket } from 'node:net'
import { join } from 'node:path'
import { promisify } from 'node:util'

const run = promisify(execFile)
const makeDeadlineMs = 5_000

export interface FifoSet {
  /** "" for what there is none of. */
  readonly stdinPath: string
  readonly stdoutPath: string
  readonly stderrPath: string
  readonly stdout: Socket
  readonly stderr: Socket | undefined
  /** To be called once the process has started: before, nobody reads. */
  openStdin(): Socket
  remove(): Promise<void>
}

/** Node cannot make named pipes; one run of mkfifo makes all three. */
export async function makeFifos(
  directory: string,
  wanted: { readonly stdin: boolean; readonly stderr: boolean },
): Promise<FifoSet> {
  await mkdir(directory, { recursive: true, mode: 0o700 })
  const stdinPath = wanted.stdin ? join(directory, 'stdin') : ''
  const stdoutPath = join(directory, 'stdout')
  const stderrPath = wanted.stderr ? join(directory, 'stderr') : ''
  const paths = [stdinPath, stdoutPath, stderrPath].filter((path) => path !== '')
  await run('mkfifo', ['-m', '600', ...paths], { timeout: makeDeadlineMs })
  return {
    stdinPath,
    stdoutPath,
    stderrPath,
    stdout: openToRead(stdoutPath),
    stderr: stderrPath === '' ? undefined : openToRead(stderrPath),
    openStdin: () => openToWrite(stdinPath),
    remove: () => rm(directory, { recursive: true, force: true }),
  }
}

/** Not blocking: the event loop polls it, and it ends when the last writer has closed it, not before the first came. */
function openToRead(path: string): Socket {
  const fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK)
  return new Socket({ fd, readable: true, writable: false })
}

/** Opened for both, because opening for writing alone fails while the reader is not there yet. */
function openToWrite(path: string): Socket {
  const fd = openSync(path, constants.O_RDWR | constants.O_NONBLOCK)
  return new Socket({ fd, readable: false, writable: true })
}
