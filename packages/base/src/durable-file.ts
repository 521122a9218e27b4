/**
 * Files that survive a power cut: written beside the old one, synced, renamed over it, and the directory synced.
 * A reader sees the old content or the new, never a part.
 */
import { closeSync, fsyncSync, mkdirSync, openSync, renameSync, rmSync, writeSync } from 'node:fs'
import { open, rename, rm } from 'node:fs/promises'
import { dirname } from 'node:path'

export interface DurableFileOptions {
  /** Unix mode; 0600 when not given. */
  readonly mode?: number
}

let sequence = 0

/** Content that comes in chunks and fails on the way leaves nothing. */
export async function writeDurably(
  path: string,
  content: string | Uint8Array | AsyncIterable<Uint8Array>,
  options: DurableFileOptions = {},
): Promise<void> {
  const temporary = temporaryNameFor(path)
  try {
    const file = await open(temporary, 'w', options.mode ?? 0o600)
    try {
      await file.writeFile(content)
      await file.sync()
    } finally {
      await file.close()
    }
    await rename(temporary, path)
  } catch (reason) {
    await rm(temporary, { force: true })
    throw reason
  }
  await syncDirectory(dirname(path))
}

export function writeDurablySync(
  path: string,
  content: string | Uint8Array,
  options: DurableFileOptions = {},
): void {
  const temporary = temporaryNameFor(path)
  try {
    const file = openSync(temporary, 'w', options.mode ?? 0o600)
    try {
      const bytes = typeof content === 'string' ? Buffer.from(content) : content
      for (let at = 0; at < bytes.length;) at += writeSync(file, bytes, at)
      fsyncSync(file)
    } finally {
      closeSync(file)
    }
    renameSync(temporary, path)
  } catch (reason) {
    rmSync(temporary, { force: true })
    throw reason
  }
  const directory = openSync(dirname(path), 'r')
  try {
    fsyncSync(directory)
  } finally {
    closeSync(directory)
  }
}

/** Removes a file so that it stays removed after a power cut; absent files are fine. */
export async function removeDurably(path: string): Promise<void> {
  await rm(path, { force: true })
  await syncDirectory(dirname(path))
}

/** Makes a directory only its owner can enter. */
export function makePrivateDirectory(path: string): void {
  mkdirSync(path, { recursive: true, mode: 0o700 })
}

async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, 'r')
  try {
    await directory.sync()
  } finally {
    await directory.close()
  }
}

function temporaryNameFor(path: string): string {
  return `${path}.${process.pid}.${sequence++}.tmp`
}
