/** Reads small files of a snapshot without mounting it: an overlay's directories are there to be read. */
import { constants } from 'node:fs'
import { lstat, open } from 'node:fs/promises'
import { join } from 'node:path'
import { systemCodeOf } from '@cloudless/base'

export interface SnapshotMount {
  readonly type: string
  readonly source: string
  readonly options: readonly string[]
}

const fileBytesMax = 1024 * 1024

/** The snapshot's directories, topmost first. */
export function directoriesOf(mounts: readonly SnapshotMount[]): readonly string[] {
  return mounts.flatMap((mount) => {
    if (mount.type !== 'overlay') return [mount.source]
    const valueOf = (key: string): readonly string[] =>
      mount.options
        .filter((option) => option.startsWith(`${key}=`))
        .flatMap((option) => option.slice(key.length + 1).split(':'))
    return [...valueOf('upperdir'), ...valueOf('lowerdir')]
  })
}

/** The file's text, "" when no layer has it. Symbolic links are not followed: they would leave the image. */
export async function readFromSnapshot(
  mounts: readonly SnapshotMount[],
  directory: string,
  name: string,
): Promise<string> {
  for (const layer of directoriesOf(mounts)) {
    const parent = await lstat(join(layer, directory)).catch(() => undefined)
    if (parent === undefined) continue
    if (!parent.isDirectory()) return ''
    const text = await readPlainFile(join(layer, directory, name))
    if (text !== undefined) return text
  }
  return ''
}

/** Undefined when it is not there; "" when it is no file, such as an overlay's whiteout. */
async function readPlainFile(path: string): Promise<string | undefined> {
  const { O_RDONLY, O_NOFOLLOW, O_NONBLOCK } = constants
  try {
    const file = await open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK)
    try {
      const { size } = await file.stat()
      if (size > fileBytesMax) return ''
      return await file.readFile('utf8')
    } finally {
      await file.close()
    }
  } catch (reason) {
    return systemCodeOf(reason) === 'ENOENT' ? undefined : ''
  }
}
