/** The bench's side of a process of clients that write. */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import type { WriteOrder, WriteReport } from './api-writer.ts'

export interface Writer {
  write(order: WriteOrder): Promise<WriteReport>
  end(): void
}

export function startWriter(): Writer {
  const writer = fork(join(import.meta.dirname, 'api-writer.ts'))
  return {
    async write(order) {
      writer.send(order)
      return ((await once(writer, 'message')) as [WriteReport])[0]
    },
    end: () => writer.disconnect(),
  }
}
