/** A configuration file: nested sections, found by the dotted keys of the settings. */
import { messageOf } from '../errors.ts'
import type { Setting } from './setting.ts'
import { unknownName } from './unknown-name.ts'

export interface FileReader {
  /** Reads a file into a plain value; throws with a message for people. */
  readonly readFile: (path: string) => unknown
  /** The line (from 1) a dotted key of the file read last stands on, for problems; undefined when not known. */
  readonly lineOf?: ((path: string, key: string) => number | undefined) | undefined
}

/** "coordinator.yaml:12: raft.addr", or without the line where it is not known. */
export function placeIn(path: string, key: string, { lineOf }: FileReader): string {
  const line = lineOf?.(path, key)
  return `${path}${line === undefined ? '' : `:${line}`}: ${key}`
}

/** What the file says, by key. A key without a value is as good as absent. Problems are added to `problems`. */
export function readFileValues(
  settings: readonly Setting[],
  path: string,
  reader: FileReader,
  problems: string[],
): ReadonlyMap<string, unknown> {
  const found = new Map<string, unknown>()
  const keys = settings.map((setting) => setting.key)
  try {
    walk(reader.readFile(path), '')
  } catch (reason) {
    problems.push(`${path}: ${messageOf(reason)}`)
  }
  return found

  function walk(value: unknown, key: string): void {
    if (value === null || value === undefined) return
    if (keys.includes(key)) {
      found.set(key, value)
      return
    }
    const isSection = key === '' || keys.some((one) => one.startsWith(`${key}.`))
    if (!isSection) {
      problems.push(unknownName(placeIn(path, key, reader), key, keys, ''))
    } else if (typeof value !== 'object' || Array.isArray(value)) {
      const place = key === '' ? `${path}: the file` : placeIn(path, key, reader)
      problems.push(`${place}: must be a section with keys`)
    } else {
      for (const [name, inner] of Object.entries(value)) {
        walk(inner, key === '' ? name : `${key}.${name}`)
      }
    }
  }
}
