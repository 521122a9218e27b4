/** Ending containers and removing what they leave. Nothing here needs to have been started by this process. */
import { CloudlessError, type Clock } from '@cloudless/base'
import { ConnectError, Code } from '@connectrpc/connect'
import { constants } from 'node:os'
import { rm } from 'node:fs/promises'
import { unlimited, type ContainerdClient } from '../containerd/client.ts'
import { callOrAbsent, errorOfContainerd, isNotFound } from '../containerd/errors.ts'
import type { ContainerNetwork } from '../network/container-network.ts'
import type { RawLogs } from '../logs/raw-logs.ts'
import type { ContainerExit, ContainerInfo } from '../runtime.ts'
import type { OomWatch } from '../usage/oom-watch.ts'
import type { ContainerStore } from './container-store.ts'
import type { GeneratedFileStore } from './generated-files.ts'

export interface StopperParts {
  readonly clock: Clock
  readonly client: ContainerdClient
  readonly store: ContainerStore
  readonly network: ContainerNetwork
  readonly files: GeneratedFileStore
  readonly rawLogs: RawLogs
  readonly oom: OomWatch
}

/** How long a killed process may take to end: it may hang in the kernel, on a dead disk for instance. */
const killWaitMs = 10_000

export class ContainerStopper {
  readonly #parts: StopperParts

  constructor(parts: StopperParts) {
    this.#parts = parts
  }

  async stop(containerId: string, graceMs: number): Promise<ContainerExit | undefined> {
    const known = await this.#parts.store.get(containerId)
    if (known === undefined) return undefined
    const { info, labels } = known
    if (info.state === 'stopped') return this.#exitOf(info, labels.cgroupPath)
    const exited = new AbortController()
    const waiting = this.#wait(containerId, exited.signal)
    try {
      await this.#kill(containerId, signalNumber(labels.stopSignal))
      if (!(await this.#within(waiting, graceMs))) {
        await this.#kill(containerId, constants.signals.SIGKILL)
        if (!(await this.#within(waiting, killWaitMs))) throw this.#notEnding(containerId)
      }
    } finally {
      exited.abort()
      // An aborted wait is what we asked for.
      waiting.catch(() => {})
    }
    const after = await this.#parts.store.get(containerId)
    return after && this.#exitOf(after.info, labels.cgroupPath)
  }

  async remove(containerId: string): Promise<void> {
    const known = await this.#parts.store.get(containerId)
    await this.clean(containerId)
    const volumeDirectory = known?.labels.volumeDirectory ?? ''
    if (volumeDirectory !== '') await rm(volumeDirectory, { recursive: true, force: true })
  }

  /** The container if it runs; otherwise whatever is left of it is removed, its volumes excepted. */
  async adoptOrClean(containerId: string): Promise<ContainerInfo | undefined> {
    const known = await this.#parts.store.get(containerId)
    if (known?.info.state === 'running' || known?.info.state === 'paused') return known.info
    await this.clean(containerId)
    return undefined
  }

  /** Each step finds its part absent when an earlier attempt got that far. */
  async clean(containerId: string): Promise<void> {
    const { store, network, files, rawLogs } = this.#parts
    await this.#deleteTask(containerId)
    await Promise.all([
      network.detach(containerId),
      rawLogs.release(containerId),
      files.remove(containerId),
    ])
    await store.delete(containerId)
  }

  async #deleteTask(containerId: string): Promise<void> {
    const { tasks } = this.#parts.client
    try {
      await tasks.delete({ containerId })
      return
    } catch (reason) {
      if (isNotFound(reason)) return
      if (!isStillRunning(reason)) {
        throw errorOfContainerd(reason, `remove the process of ${containerId}`)
      }
    }
    // It runs, or was made and never started.
    const waiting = this.#wait(containerId)
    await this.#kill(containerId, constants.signals.SIGKILL)
    if (!(await this.#within(waiting, killWaitMs))) throw this.#notEnding(containerId)
    await callOrAbsent(`remove the process of ${containerId}`, () => tasks.delete({ containerId }))
  }

  async #wait(containerId: string, signal?: AbortSignal): Promise<void> {
    await callOrAbsent(`wait for ${containerId} to end`, () =>
      this.#parts.client.tasks.wait(
        { containerId },
        signal === undefined ? unlimited : { ...unlimited, signal },
      ),
    )
  }

  async #kill(containerId: string, signal: number): Promise<void> {
    const all = signal === constants.signals.SIGKILL
    try {
      await this.#parts.client.tasks.kill({ containerId, signal, all })
    } catch (reason) {
      const text = reason instanceof ConnectError ? reason.rawMessage : ''
      if (isNotFound(reason) || /process already finished|not running/.test(text)) return
      throw errorOfContainerd(reason, `send signal ${signal} to ${containerId}`)
    }
  }

  /** Whether it ended within the time. */
  #within(waiting: Promise<void>, limitMs: number): Promise<boolean> {
    return new Promise((resolve, reject) => {
      const cancel = this.#parts.clock.after(limitMs, () => resolve(false))
      waiting.then(() => resolve(true), reject).finally(cancel)
    })
  }

  async #exitOf(info: ContainerInfo, cgroupPath: string): Promise<ContainerExit> {
    const { containerId, exitCode, finishedAtMs } = info
    const oomKilled = await this.#parts.oom.wasKilled(containerId, cgroupPath)
    return { containerId, exitCode, finishedAtMs, oomKilled }
  }

  #notEnding(containerId: string): CloudlessError {
    return new CloudlessError(
      'deadline_exceeded',
      `Container ${containerId} was killed and has not ended within ${killWaitMs} ms. ` +
        'One of its processes hangs in the kernel; look for processes in state D.',
    )
  }
}

/** containerd says so with a code; the shim, which notices later, with words. */
function isStillRunning(reason: unknown): boolean {
  if (!(reason instanceof ConnectError)) return false
  return (
    reason.code === Code.FailedPrecondition ||
    /cannot delete a (running|paused|created) process|must be stopped/.test(reason.rawMessage)
  )
}

/** "SIGTERM", "TERM" or "15", as images have it; SIGTERM when it is none. */
export function signalNumber(text: string): number {
  if (/^\d{1,2}$/.test(text)) return Number(text)
  const name = text.toUpperCase()
  const full = name.startsWith('SIG') ? name : `SIG${name}`
  const signals: Readonly<Record<string, number>> = constants.signals
  return signals[full] ?? constants.signals.SIGTERM
}
