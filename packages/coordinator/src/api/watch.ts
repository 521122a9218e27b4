/** Watches of records: what is there, a mark, then what changes, until the caller goes away. */
import { WatchKind } from '@cloudless/api'
import { CloudlessError } from '@cloudless/base'
import type { ClusterState, RecordChange } from '../state/cluster-state.ts'

export interface WatchSource<T> {
  /** Everything that matches now, by id. */
  readonly current: () => ReadonlyMap<string, T>
  /** Which ids these changes may concern. */
  readonly concerned: (changes: readonly RecordChange[]) => Iterable<string>
  /** How it looks now; undefined when it is gone or does not match. */
  readonly view: (id: string) => T | undefined
}

export interface WatchMessage<T> {
  readonly kind: WatchKind
  /** Unset for SYNCED. */
  readonly item: T | undefined
}

/** Ids waiting to be sent to one slow watcher before it is ended. */
const waitingMax = 10_000

export async function* watchRecords<T>(
  state: ClusterState,
  source: WatchSource<T>,
  signal: AbortSignal,
): AsyncIterable<WatchMessage<T>> {
  const dirty = new Set<string>()
  let wake: (() => void) | undefined
  const notify = (): void => {
    wake?.()
    wake = undefined
  }
  const stopListening = state.listen((changes) => {
    for (const id of source.concerned(changes)) dirty.add(id)
    notify()
  })
  signal.addEventListener('abort', notify, { once: true })
  try {
    const known = new Map<string, T>(source.current())
    for (const item of known.values()) yield { kind: WatchKind.ADDED, item }
    yield { kind: WatchKind.SYNCED, item: undefined }
    while (!signal.aborted) {
      if (dirty.size > waitingMax) {
        throw new CloudlessError('resource_exhausted', 'the watcher does not keep up; watch anew')
      }
      const [id] = dirty
      if (id === undefined) {
        await new Promise<void>((resolve) => (wake = resolve))
        continue
      }
      dirty.delete(id)
      const message = changeOf(known, id, source.view(id))
      if (message) yield message
    }
  } finally {
    stopListening()
    signal.removeEventListener('abort', notify)
  }
}

function changeOf<T>(
  known: Map<string, T>,
  id: string,
  item: T | undefined,
): WatchMessage<T> | undefined {
  const before = known.get(id)
  if (item === undefined) {
    if (before === undefined) return undefined
    known.delete(id)
    return { kind: WatchKind.DELETED, item: before }
  }
  known.set(id, item)
  return { kind: before === undefined ? WatchKind.ADDED : WatchKind.MODIFIED, item }
}
