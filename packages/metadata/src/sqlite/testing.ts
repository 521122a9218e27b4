/** For tests: a store in a directory of its own. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { seededRandom, systemClock } from '@cloudless/base'
import type { MetadataStore } from '../store.ts'
import { createSqliteStore, type SqliteStoreOptions } from './sqlite-store.ts'

export type TestStoreOptions = Omit<SqliteStoreOptions, 'path'>

export interface TestDirectory {
  readonly path: string
  /** Opens the database there; every store that is still open is closed with the directory. */
  open(options?: TestStoreOptions): Promise<MetadataStore>
  remove(): Promise<void>
}

export async function makeTestDirectory(): Promise<TestDirectory> {
  const directory = await mkdtemp(join(tmpdir(), 'cloudless-metadata-'))
  const path = join(directory, 'metadata.db')
  const opened: MetadataStore[] = []
  return {
    path,
    async open(options = {}) {
      const deps = { clock: systemClock, random: seededRandom(1) }
      const store = await createSqliteStore(deps, { path, ...options })
      opened.push(store)
      return store
    },
    async remove() {
      await Promise.all(opened.map((store) => store.close()))
      await rm(directory, { recursive: true, force: true })
    },
  }
}
