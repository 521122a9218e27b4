/** A directory with the backups of a cluster, named for when they were made; of them the newest are kept. */
import { mkdirSync } from 'node:fs'
import { readdir, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { CloudlessError, writeDurably } from '@cloudless/base'

/** What was being written when its coordinator was killed is taken away after this. */
const leftoverMs = 86_400_000

export function backupFileName(clusterId: string, createdAtMs: number): string {
  const time = new Date(createdAtMs).toISOString().replaceAll(/[-:]|\.\d+/g, '')
  return `${clusterId}-${time}.backup`
}

/** Unix milliseconds; undefined when it is no backup of this cluster. */
export function timeOfBackup(name: string, clusterId: string): number | undefined {
  if (!name.startsWith(`${clusterId}-`)) return undefined
  const digits = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z\.backup$/.exec(
    name.slice(clusterId.length + 1),
  )
  if (digits === null) return undefined
  const [, year, month, day, hour, minute, second] = digits
  const atMs = Date.parse(`${year}-${month}-${day}T${hour}:${minute}:${second}Z`)
  return Number.isNaN(atMs) ? undefined : atMs
}

/** Names of those that are too many, of these of a directory. */
export function tooOld(names: readonly string[], clusterId: string, keep: number): string[] {
  return names
    .map((name) => ({ name, atMs: timeOfBackup(name, clusterId) }))
    .filter((one): one is { name: string; atMs: number } => one.atMs !== undefined)
    .toSorted((a, b) => b.atMs - a.atMs)
    .slice(keep)
    .map(({ name }) => name)
}

export class BackupDirectory {
  readonly #path: string
  readonly #clusterId: string

  constructor(path: string, clusterId: string) {
    this.#path = path
    this.#clusterId = clusterId
  }

  /** When the newest was made, unix milliseconds; undefined when there is none. */
  async newestMs(): Promise<number | undefined> {
    const times = (await this.#names())
      .map((name) => timeOfBackup(name, this.#clusterId))
      .filter((atMs) => atMs !== undefined)
    return times.length === 0 ? undefined : Math.max(...times)
  }

  /** Whole or not at all. Resolves with its path and size. */
  async write(
    createdAtMs: number,
    chunks: AsyncIterable<Uint8Array>,
  ): Promise<{ readonly path: string; readonly fileBytes: number }> {
    const path = join(this.#path, backupFileName(this.#clusterId, createdAtMs))
    try {
      mkdirSync(this.#path, { recursive: true, mode: 0o700 })
      await writeDurably(path, chunks)
      return { path, fileBytes: (await stat(path)).size }
    } catch (reason) {
      throw CloudlessError.from(reason, `writing the backup ${path}`)
    }
  }

  /** Removes all but the newest `keep`, and what was left half written. */
  async tidy(keep: number, nowMs: number): Promise<void> {
    const names = await this.#names()
    const leftovers = names.filter(
      (name) => name.startsWith(`${this.#clusterId}-`) && name.endsWith('.tmp'),
    )
    for (const name of leftovers) {
      const { mtimeMs } = await stat(join(this.#path, name))
      if (nowMs - mtimeMs > leftoverMs) await rm(join(this.#path, name), { force: true })
    }
    for (const name of tooOld(names, this.#clusterId, keep)) {
      await rm(join(this.#path, name), { force: true })
    }
  }

  async #names(): Promise<string[]> {
    mkdirSync(this.#path, { recursive: true, mode: 0o700 })
    return readdir(this.#path)
  }
}
