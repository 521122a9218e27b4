/** The thread that owns the database: the only one that writes, and the only one an fsync may hold. */
import { workerData } from 'node:worker_threads'
import { openDatabase, type OpenDatabase } from './database.ts'
import { createGroupCommit, type Commit } from './group-commit.ts'
import type { CommitReply, CommitRequest, DatabaseOptions, OpenedReply } from './messages.ts'
import { serveCalls } from './worker-call.ts'

const options = workerData as DatabaseOptions
let open: OpenDatabase | undefined
let commit: Commit | undefined

serveCalls(
  (request: { readonly kind: 'open' } | CommitRequest): OpenedReply | CommitReply => {
    if (request.kind === 'commit') return commit!(request.operations)
    open = openDatabase(options)
    commit = createGroupCommit(open.database, open.opened, options)
    return open.opened
  },
  () => open?.close(),
)
