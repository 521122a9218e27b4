/** Where the coordinator keeps what. */
import { join } from 'node:path'

export function caDirectoryOf(dataDirectory: string): string {
  return join(dataDirectory, 'ca')
}

export function raftDirectoryOf(dataDirectory: string): string {
  return join(dataDirectory, 'raft')
}

export function metadataPathOf(dataDirectory: string): string {
  return join(dataDirectory, 'metadata.db')
}
