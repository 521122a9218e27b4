/**
 * The containers' output on its way to their logs.
 *
 * A container's shim appends to two plain files that no reader can hold up: with the agent gone, the container goes on
 * writing, and the next agent goes on reading where the last one stopped. One directory watch wakes us for all
 * containers; a slow round looks for what it missed.
 */
import { every } from '@cloudless/base'
import { mkdirSync, readdirSync, watch, type FSWatcher } from 'node:fs'
import { rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { ContainerdRuntimeDeps, ResolvedOptions } from '../options.ts'
import { LogWriter } from './log-writer.ts'
import { OutputFollower, type OutputPaths } from './output-follower.ts'

/** Bursts are taken together. */
const gatherMs = 20
const roundMs = 5_000

export class RawLogs {
  readonly #deps: ContainerdRuntimeDeps
  readonly #options: ResolvedOptions
  readonly #outputDirectory: string
  readonly #stateDirectory: string
  readonly #followers = new Map<string, OutputFollower>()
  readonly #gathering = new Set<string>()
  #watcher: FSWatcher | undefined
  #stopRounds = (): void => {}
  #resumed: Promise<void> | undefined

  constructor(deps: ContainerdRuntimeDeps, options: ResolvedOptions) {
    this.#deps = deps
    this.#options = options
    this.#outputDirectory = join(options.stateDirectory, 'output')
    this.#stateDirectory = join(options.stateDirectory, 'log-positions')
    for (const directory of [this.#outputDirectory, this.#stateDirectory]) {
      mkdirSync(directory, { recursive: true, mode: 0o700 })
    }
  }

  /** Begins to follow, also the output of containers that an earlier agent started. */
  start(): void {
    this.#watcher = watch(this.#outputDirectory, { persistent: false }, (_, name) => {
      if (name !== null) this.#wake(containerIdOf(name))
    })
    this.#watcher.on('error', (reason) => {
      this.#deps.logger.warn({ err: reason }, 'Output is no longer watched, only looked for')
    })
    this.#stopRounds = every(this.#deps.clock, roundMs, () => {
      for (const containerId of this.#followers.keys()) this.#wake(containerId)
    })
    this.#resumed = this.#resumeAll()
  }

  /** Empty files for a new run of the container; what the run before left goes to the log first. */
  async open(containerId: string, logPath: string): Promise<OutputPaths> {
    await this.release(containerId)
    const paths = this.#pathsOf(containerId)
    await Promise.all([writeFile(paths.stdout, ''), writeFile(paths.stderr, '')])
    const writer = await LogWriter.begin(this.#statePathOf(containerId), logPath, this.#options)
    this.#followers.set(containerId, new OutputFollower(paths, writer))
    return paths
  }

  /** Has what the container wrote so far in its log when it resolves. */
  async flush(containerId: string, isLast = false): Promise<void> {
    await this.#resumed
    await this.#followers.get(containerId)?.take(isLast)
  }

  /** The container has ended: the rest goes to the log, the raw files go. Absent is fine. */
  async release(containerId: string): Promise<void> {
    await this.#resumed
    const follower = this.#followers.get(containerId)
    this.#followers.delete(containerId)
    try {
      await follower?.take(true)
    } catch (reason) {
      // On a full disk the log ends here; the container must still be removable.
      this.#deps.logger.warn(
        { containerId, err: reason },
        'The end of the output is not in its log',
      )
    }
    await follower?.close()
    const { stdout, stderr } = this.#pathsOf(containerId)
    const paths = [stdout, stderr, this.#statePathOf(containerId)]
    await Promise.all(paths.map((path) => rm(path, { force: true })))
  }

  async close(): Promise<void> {
    this.#watcher?.close()
    this.#stopRounds()
    await this.#resumed
    await Promise.all([...this.#followers.values()].map((follower) => follower.close()))
    this.#followers.clear()
  }

  async #resumeAll(): Promise<void> {
    for (const name of readdirSync(this.#stateDirectory)) {
      const containerId = name.replace(/\.json$/, '')
      try {
        const writer = await LogWriter.resume(join(this.#stateDirectory, name), this.#options)
        if (writer === undefined) continue
        const follower = new OutputFollower(this.#pathsOf(containerId), writer)
        this.#followers.set(containerId, follower)
        await follower.take()
      } catch (reason) {
        this.#deps.logger.warn({ containerId, err: reason }, 'Its output cannot be followed')
      }
    }
  }

  #wake(containerId: string): void {
    if (this.#gathering.has(containerId) || !this.#followers.has(containerId)) return
    this.#gathering.add(containerId)
    this.#deps.clock.after(gatherMs, () => {
      this.#gathering.delete(containerId)
      this.#followers
        .get(containerId)
        ?.take()
        .catch((reason: unknown) => {
          // Tried again with the next output, or round.
          this.#deps.logger.warn({ containerId, err: reason }, 'Its output cannot be logged')
        })
    })
  }

  #pathsOf(containerId: string): OutputPaths {
    return {
      stdout: join(this.#outputDirectory, `${containerId}.stdout`),
      stderr: join(this.#outputDirectory, `${containerId}.stderr`),
    }
  }

  #statePathOf(containerId: string): string {
    return join(this.#stateDirectory, `${containerId}.json`)
  }
}

function containerIdOf(fileName: string): string {
  return fileName.replace(/\.(stdout|stderr)$/, '')
}
