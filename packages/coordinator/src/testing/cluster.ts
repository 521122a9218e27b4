/** For tests: a picture of a real metadata store, and a reporter that remembers what it was told. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { sleep, systemClock, systemRandom, type Clock } from '@cloudless/base'
import { createSqliteStore, type MetadataStore, type Write } from '@cloudless/metadata'
import type { Reporter } from '../controllers/reporter.ts'
import { ClusterState, putRecord } from '../state/cluster-state.ts'
import type { RecordByKind, RecordKind } from '../state/records.ts'

export interface TestCluster {
  readonly state: ClusterState
  readonly store: MetadataStore
  readonly put: <K extends RecordKind>(
    kind: K,
    records: Readonly<Record<string, RecordByKind[K]>>,
  ) => Promise<void>
}

const tasksByTest = new WeakMap<TestContext, (() => unknown)[]>()

/** As `t.after`, but last first: what was built on something is closed before it. */
export function cleanUp(t: TestContext, task: () => unknown): void {
  const tasks = tasksByTest.get(t)
  if (tasks) {
    tasks.push(task)
    return
  }
  const fresh = [task]
  tasksByTest.set(t, fresh)
  t.after(async () => {
    for (let next = fresh.pop(); next; next = fresh.pop()) await next()
  })
}

export async function openStore(t: TestContext): Promise<MetadataStore> {
  const directory = mkdtempSync(join(tmpdir(), 'cloudless-coordinator-'))
  const store = await createSqliteStore(
    { clock: systemClock, random: systemRandom },
    { path: join(directory, 'metadata.db') },
  )
  cleanUp(t, async () => {
    await store.close()
    rmSync(directory, { recursive: true, force: true })
  })
  return store
}

export async function openState(
  t: TestContext,
  store: MetadataStore,
  clock: Clock = systemClock,
): Promise<ClusterState> {
  const abort = new AbortController()
  cleanUp(t, () => abort.abort())
  return ClusterState.open(
    { store, clock },
    {
      signal: abort.signal,
      onFailure: (error) => {
        throw error
      },
    },
  )
}

export async function openCluster(t: TestContext, clock?: Clock): Promise<TestCluster> {
  const store = await openStore(t)
  const state = await openState(t, store, clock)
  return {
    state,
    store,
    async put(kind, records) {
      const writes: Write[] = Object.entries(records).map(([id, record]) =>
        putRecord(kind, id, record),
      )
      for (let n = 0; n < writes.length; n += 100) {
        await state.write({ writes: writes.slice(n, n + 100) })
      }
    },
  }
}

export interface Said {
  readonly what: string
  readonly args: readonly unknown[]
}

/** Every call of the reporter, in order. */
export function recordingReporter(): { readonly report: Reporter; readonly said: Said[] } {
  const said: Said[] = []
  const report = new Proxy({} as Reporter, {
    get:
      (_, what: string) =>
      (...args: unknown[]) => {
        said.push({ what, args })
      },
  })
  return { report, said }
}

/** Waits until it holds; fails with what is then to be seen when it does not come to hold. */
export async function eventually(
  holds: () => boolean,
  show: () => unknown = () => 'it never came to hold',
  withinMs = 5_000,
): Promise<void> {
  const untilMs = systemClock.monotonicMs() + withinMs
  while (!holds()) {
    if (systemClock.monotonicMs() > untilMs) assert.fail(JSON.stringify(show(), bigintsAsText, 2))
    await sleep(systemClock, 2)
  }
}

function bigintsAsText(_: string, value: unknown): unknown {
  return typeof value === 'bigint' ? String(value) : value
}
