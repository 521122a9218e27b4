/**
 * Makes backups by a schedule, while this coordinator leads. What was due while nobody led is made up for once. One that
 * fails is told and tried again, sooner at first.
 */
import type { BackupSummary } from '@cloudless/api'
import {
  backoffDelayMs,
  nextRunMs,
  sleep,
  type Clock,
  type CronSchedule,
  type Random,
} from '@cloudless/base'
import type { BackupDirectory } from './backup-directory.ts'
import { backupSummaryOf, type BackupMaker } from './backup-maker.ts'
import type { BackupSecret } from './backup-secret.ts'

export interface BackupScheduleDeps {
  readonly clock: Clock
  readonly random: Random
  readonly backups: Pick<BackupMaker, 'make'>
  readonly directory: Pick<BackupDirectory, 'newestMs' | 'write' | 'tidy'>
  /** Read anew each time: it may have been changed. */
  readonly secret: () => BackupSecret
  readonly onMade: (summary: BackupSummary, where: string) => void
  readonly onFailed: (reason: unknown) => void
}

export interface BackupScheduleOptions {
  readonly schedule: CronSchedule
  /** So many of the newest. */
  readonly keep: number
}

/** Timers go by time that passes, schedules by clocks: whether these were set is looked at so often. */
const lookMsMax = 30_000
const retry = { delayMsMin: 60_000, delayMsMax: 1_800_000 }

export class BackupSchedule {
  readonly #deps: BackupScheduleDeps
  readonly #options: BackupScheduleOptions
  readonly #closing = new AbortController()
  readonly #running: Promise<void>

  constructor(deps: BackupScheduleDeps, options: BackupScheduleOptions) {
    this.#deps = deps
    this.#options = options
    this.#running = this.#run()
  }

  /** Gives up the one that is being made. */
  async close(): Promise<void> {
    this.#closing.abort()
    await this.#running
  }

  async #run(): Promise<void> {
    const { clock, random, onFailed } = this.#deps
    const { signal } = this.#closing
    const startedMs = clock.wallMs()
    let failures = 0
    let sinceMs: number | undefined
    while (!signal.aborted) {
      try {
        sinceMs ??= (await this.#deps.directory.newestMs()) ?? startedMs
        const dueMs = nextRunMs(this.#options.schedule, sinceMs) ?? Number.POSITIVE_INFINITY
        const leftMs = dueMs - clock.wallMs()
        if (leftMs > 0) {
          await sleep(clock, Math.min(leftMs, lookMsMax), signal)
          continue
        }
        sinceMs = await this.#make(signal)
        failures = 0
      } catch (reason) {
        if (signal.aborted) return
        onFailed(reason)
        await sleep(clock, backoffDelayMs(random, failures++, retry), signal).catch(() => undefined)
      }
    }
  }

  /** When it was made. */
  async #make(signal: AbortSignal): Promise<number> {
    const { backups, directory, secret, onMade, clock } = this.#deps
    const made = backups.make(secret(), async function* (backup) {
      const { createdAtMs } = backup.manifest
      const { path, fileBytes } = await directory.write(
        createdAtMs,
        untilAborted(backup.chunks, signal),
      )
      onMade(backupSummaryOf(backup, fileBytes), `is in ${path}`)
      yield createdAtMs
    })
    let madeAtMs = clock.wallMs()
    for await (const atMs of made) madeAtMs = atMs
    await directory.tidy(this.#options.keep, clock.wallMs())
    return madeAtMs
  }
}

async function* untilAborted(
  chunks: AsyncIterable<Uint8Array>,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  for await (const chunk of chunks) {
    signal.throwIfAborted()
    yield chunk
  }
}
