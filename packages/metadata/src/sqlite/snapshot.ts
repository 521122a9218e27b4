/** A snapshot of the database: one read transaction, on a thread and a connection of its own. */
import { CloudlessError } from '@cloudless/base'
import { problemWithLimit, problemWithPrefix, requireValid } from '../rules.ts'
import type { Snapshot } from '../store.ts'
import type { DatabaseOptions, ReadReplies, ReadRequest } from './messages.ts'
import { startWorker } from './worker-call.ts'

/** The write-ahead log grows until it is closed: nothing of it may be folded into the database meanwhile. */
export async function openSnapshot(options: DatabaseOptions): Promise<Snapshot> {
  let failure: CloudlessError | undefined
  const reader = startWorker(new URL('./reader.ts', import.meta.url), options, (reason) => {
    failure = reason
  })
  const read = <Kind extends ReadRequest['kind']>(
    request: Extract<ReadRequest, { kind: Kind }>,
  ): Promise<ReadReplies[Kind]> => reader.call(request)
  let closing: Promise<void> | undefined
  try {
    const revision = await read({ kind: 'hold' })
    return {
      revision,
      async list(prefix, listOptions = {}) {
        if (failure !== undefined) throw failure
        requireValid(`listing prefix ${JSON.stringify(prefix)}`, problemWithPrefix(prefix))
        requireValid('listing with a limit', problemWithLimit(listOptions.limit))
        if (closing !== undefined) throw closed()
        return read({ kind: 'list', prefix, options: listOptions })
      },
      close: () => (closing ??= reader.close()),
    }
  } catch (reason) {
    await reader.close()
    throw reason
  }
}

function closed(): CloudlessError {
  return new CloudlessError('unavailable', 'the snapshot of the metadata store is closed')
}
