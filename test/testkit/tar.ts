/** Writes tar archives (ustar), enough for image layers and layouts: files, directories, symbolic links. */

export type TarEntry =
  | {
      readonly kind: 'file'
      readonly path: string
      readonly content: Uint8Array
      /** Permission bits; 0644 when not given. */
      readonly mode?: number
    }
  | { readonly kind: 'directory'; readonly path: string; readonly mode?: number }
  | { readonly kind: 'link'; readonly path: string; readonly target: string }

const blockBytes = 512
const typeByKind = { file: '0', directory: '5', link: '2' } as const
const modeByKind = { file: 0o644, directory: 0o755, link: 0o777 } as const

/** The same entries give the same bytes: times and owners are 0. */
export function writeTar(entries: readonly TarEntry[]): Buffer {
  const parts: Buffer[] = []
  for (const entry of entries) {
    const content = entry.kind === 'file' ? Buffer.from(entry.content) : Buffer.alloc(0)
    parts.push(headerOf(entry, content.length), content)
    const rest = content.length % blockBytes
    if (rest > 0) parts.push(Buffer.alloc(blockBytes - rest))
  }
  parts.push(Buffer.alloc(2 * blockBytes))
  return Buffer.concat(parts)
}

function headerOf(entry: TarEntry, bytes: number): Buffer {
  const path = entry.kind === 'directory' ? `${entry.path.replace(/\/$/, '')}/` : entry.path
  if (Buffer.byteLength(path) > 100) throw new Error(`tar: path is too long: ${path}`)
  const mode = (entry.kind === 'link' ? undefined : entry.mode) ?? modeByKind[entry.kind]
  const header = Buffer.alloc(blockBytes)
  header.write(path, 0)
  header.write(octal(mode, 8), 100)
  header.write(octal(0, 8), 108)
  header.write(octal(0, 8), 116)
  header.write(octal(bytes, 12), 124)
  header.write(octal(0, 12), 136)
  header.write('        ', 148)
  header.write(typeByKind[entry.kind], 156)
  if (entry.kind === 'link') header.write(entry.target, 157)
  header.write('ustar\0', 257)
  header.write('00', 263)
  const checksum = header.reduce((sum, byte) => sum + byte, 0)
  header.write(`${checksum.toString(8).padStart(6, '0')}\0 `, 148)
  return header
}

function octal(value: number, width: number): string {
  return `${value.toString(8).padStart(width - 1, '0')}\0`
}
