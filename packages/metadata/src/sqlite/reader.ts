/**
 * The thread that reads. In WAL mode a reader sees the newest committed state and waits for nobody, so reads go on while
 * the writer's fsync runs; and a read that must wait for a slow disk holds this thread, not the process's event loop.
 * A snapshot has a thread and a connection of its own, with one read transaction for its whole life.
 */
import { workerData } from 'node:worker_threads'
import { DatabaseSync } from 'node:sqlite'
import { explainFailure } from './failure.ts'
import type { DatabaseOptions, ReadRequest } from './messages.ts'
import { createQueries } from './queries.ts'
import { serveCalls } from './worker-call.ts'

const options = workerData as DatabaseOptions
const database = new DatabaseSync(options.path, { readOnly: true, timeout: 5_000 })
const queries = createQueries(database, options.path)

serveCalls(
  (request: ReadRequest): unknown => {
    try {
      switch (request.kind) {
        case 'get':
          return queries.get(request.key)
        case 'list':
          return queries.list(request.prefix, request.options)
        case 'history':
          return queries.history(request.prefix, request.fromRevision)
        case 'size':
          return queries.sizeBytes()
        case 'hold':
          return queries.hold()
      }
    } catch (reason) {
      throw explainFailure(reason, { ...options, attempt: 'reading from' })
    }
  },
  () => database.close(),
)
