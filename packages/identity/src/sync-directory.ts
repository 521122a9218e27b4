/** Makes the names in a directory survive a power cut. */
import { closeSync, fsyncSync, openSync } from 'node:fs'

export function syncDirectorySync(path: string): void {
  const directory = openSync(path, 'r')
  try {
    fsyncSync(directory)
  } finally {
    closeSync(directory)
  }
}
