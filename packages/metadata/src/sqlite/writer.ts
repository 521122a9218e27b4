/** The thread that owns the database: the only one that writes, and the only one an fsync may hold. */
import { workerData } from 'node:worker_threads'
import { openDatabase, type OpenDatabase } from './database.ts'
import { createGroupCommit, type Commit } from './group-commit.ts'
import type { CommitRequest, DatabaseOptions, OpenedReply, PackedReply } from './messages.ts'
import { packReply, unpackOperation } from './packing.ts'
import { serveCalls } from './worker-call.ts'

const options = workerData as DatabaseOptions
let open: OpenDatabase | undefined
let commit: Commit | undefined

serveCalls(
  (request: { readonly kind: 'open' } | CommitRequest): OpenedReply | PackedReply => {
    if (request.kind === 'commit')
      return packReply(commit!(request.operations.map(unpackOperation)))
    open = openDatabase(options)
    commit = createGroupCommit(open.database, open.opened, options)
    return open.opened
  },
  () => open?.close(),
)
