/** One more process in a running container, with its pipes or terminal. */
import { CloudlessError, type Clock } from '@cloudless/base'
import { constants } from 'node:os'
import type { Socket } from 'node:net'
import { unlimited, type ContainerdClient } from '../containerd/client.ts'
import { callContainerd, callOrAbsent } from '../containerd/errors.ts'
import type { ExecSession } from '../runtime.ts'
import { signalNumber } from '../container/stopper.ts'
import type { FifoSet } from './fifos.ts'

type Output = { readonly stream: 'stdout' | 'stderr'; readonly data: Uint8Array }

export interface ExecSessionParts {
  readonly clock: Clock
  readonly client: ContainerdClient
  readonly fifos: FifoSet
  readonly containerId: string
  readonly execId: string
}

/** A child of the process may hold its output open; what it writes later than this is not waited for. */
const drainMs = 1_000
const killWaitMs = 5_000
/** Output that nobody reads stops being read from the process at this size. */
const queueBytesMax = 1024 * 1024

export class ContainerdExecSession implements ExecSession {
  readonly output: AsyncIterable<Output>
  readonly exitCode: Promise<number>
  readonly #parts: ExecSessionParts
  readonly #queue: OutputQueue
  readonly #ended: Promise<number>
  #stdin: Socket | undefined
  #closed: Promise<void> | undefined

  /** The process has been started. */
  constructor(parts: ExecSessionParts) {
    this.#parts = parts
    const { fifos } = parts
    this.#queue = new OutputQueue(fifos.stdout, fifos.stderr)
    this.output = this.#queue
    if (fifos.stdinPath !== '') {
      this.#stdin = fifos.openStdin()
      // The process closed its end; write() says so to whoever writes.
      this.#stdin.on('error', () => {})
    }
    this.#ended = this.#waitForEnd()
    this.exitCode = this.#finish()
    // Whoever does not look at the exit code need not.
    this.exitCode.catch(() => {})
  }

  write(data: Uint8Array): Promise<void> {
    const stdin = this.#stdin
    if (stdin === undefined) return Promise.reject(this.#noStdin())
    return new Promise((resolve, reject) => {
      const onClose = (): void => reject(this.#noStdin())
      stdin.once('close', onClose)
      stdin.write(data, (reason) => {
        stdin.off('close', onClose)
        if (reason) reject(CloudlessError.from(reason, 'Could not write to the process'))
        else resolve()
      })
    })
  }

  async closeStdin(): Promise<void> {
    const stdin = this.#stdin
    if (stdin === undefined) return
    this.#stdin = undefined
    // What was written stays in the pipe: the shim has it open, too.
    await new Promise<void>((resolve) => stdin.end(resolve))
    stdin.destroy()
    const { containerId, execId } = this.#parts
    await callOrAbsent(`close the input of a process in ${containerId}`, () =>
      this.#parts.client.tasks.closeIO({ containerId, execId, stdin: true }),
    )
  }

  async resize(columns: number, rows: number): Promise<void> {
    const { containerId, execId } = this.#parts
    await callOrAbsent(`resize the terminal of a process in ${containerId}`, () =>
      this.#parts.client.tasks.resizePty({ containerId, execId, width: columns, height: rows }),
    )
  }

  async signal(name: string): Promise<void> {
    await this.#kill(signalNumber(name))
  }

  close(): Promise<void> {
    this.#closed ??= this.#close()
    return this.#closed
  }

  async #close(): Promise<void> {
    try {
      await this.#kill(constants.signals.SIGKILL)
    } catch {
      // containerd is away; the process is found ended, or its container is removed with it.
    }
    this.#stdin?.destroy()
    this.#queue.abandon()
    await within(this.#parts.clock, killWaitMs, this.exitCode)
    await this.#parts.fifos.remove()
  }

  async #kill(signal: number): Promise<void> {
    const { containerId, execId } = this.#parts
    try {
      await callOrAbsent(`send signal ${signal} to a process in ${containerId}`, () =>
        this.#parts.client.tasks.kill({ containerId, execId, signal }),
      )
    } catch (reason) {
      const error = CloudlessError.from(reason)
      if (!/already finished|not running|not found/.test(error.message)) throw error
    }
  }

  async #waitForEnd(): Promise<number> {
    const { containerId, execId } = this.#parts
    const { exitStatus } = await callContainerd(`wait for a process in ${containerId}`, () =>
      this.#parts.client.tasks.wait({ containerId, execId }, unlimited),
    )
    return exitStatus
  }

  async #finish(): Promise<number> {
    const { clock, client, containerId, execId } = this.#parts
    try {
      const exitCode = await this.#ended
      // Deleting the process makes the shim close its ends of the pipes once they are empty.
      await callOrAbsent(`remove a process of ${containerId}`, () =>
        client.tasks.deleteProcess({ containerId, execId }),
      )
      await within(clock, drainMs, this.#queue.drained)
      return exitCode
    } finally {
      this.#stdin?.destroy()
      this.#queue.end()
      await this.#parts.fifos.remove()
    }
  }

  #noStdin(): CloudlessError {
    return new CloudlessError('failed_precondition', 'The process has no open standard input.')
  }
}

/** What the process writes, in the order it came; its writer waits while too much of it is unread. */
class OutputQueue implements AsyncIterable<Output> {
  readonly #sockets: readonly Socket[]
  readonly #items: Output[] = []
  readonly drained: Promise<unknown>
  #queuedBytes = 0
  #isEnded = false
  #isAbandoned = false
  #wake = (): void => {}

  constructor(stdout: Socket, stderr: Socket | undefined) {
    this.#sockets = stderr === undefined ? [stdout] : [stdout, stderr]
    this.drained = Promise.all(this.#sockets.map(closed))
    for (const socket of this.#sockets) {
      const stream = socket === stdout ? 'stdout' : 'stderr'
      socket.on('data', (data: Buffer) => this.#add(stream, data))
      // A broken pipe is an end.
      socket.on('error', () => {})
    }
  }

  /** No more comes. */
  end(): void {
    this.#isEnded = true
    for (const socket of this.#sockets) socket.destroy()
    this.#wake()
  }

  /** Nobody will read: what comes is thrown away, so that the process is not held up. */
  abandon(): void {
    this.#isAbandoned = true
    this.#items.length = 0
    for (const socket of this.#sockets) socket.resume()
    this.#wake()
  }

  async *[Symbol.asyncIterator](): AsyncIterator<Output> {
    for (;;) {
      const item = this.#items.shift()
      if (item !== undefined) {
        this.#queuedBytes -= item.data.length
        if (this.#queuedBytes < queueBytesMax) for (const socket of this.#sockets) socket.resume()
        yield item
      } else if (this.#isEnded || this.#isAbandoned) {
        return
      } else {
        await new Promise<void>((resolve) => (this.#wake = resolve))
      }
    }
  }

  #add(stream: 'stdout' | 'stderr', data: Uint8Array): void {
    if (this.#isAbandoned) return
    this.#items.push({ stream, data })
    this.#queuedBytes += data.length
    if (this.#queuedBytes >= queueBytesMax) for (const socket of this.#sockets) socket.pause()
    this.#wake()
  }
}

/** Resolves when it has settled, either way, and at the latest after `limitMs`. */
function within(clock: Clock, limitMs: number, settling: Promise<unknown>): Promise<void> {
  return new Promise((resolve) => {
    const cancel = clock.after(limitMs, resolve)
    // How it settled is for whoever else holds the promise.
    void settling
      .catch(() => {})
      .finally(() => {
        cancel()
        resolve()
      })
  })
}

/** A process that is quick and says nothing has closed its output before anyone listens. */
function closed(socket: Socket): Promise<unknown> {
  if (socket.closed) return Promise.resolve()
  return new Promise((resolve) => socket.once('close', resolve))
}
