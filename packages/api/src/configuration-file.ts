/** Reads YAML (and JSON) configuration files for loadConfiguration, knowing the line of every key. */
import type { ConfigurationInput } from '@cloudless/base'
import { isMap, isScalar, LineCounter, parseDocument, type Document, type Pair } from 'yaml'

const textLengthMax = 1_048_576
const aliasesMax = 100

interface ParsedFile {
  readonly document: Document
  readonly lineCounter: LineCounter
}

/** To be spread into the input: `{ args, env, ...yamlConfigurationFiles(readText) }`. */
export function yamlConfigurationFiles(
  readText: (path: string) => string,
): Required<Pick<ConfigurationInput, 'readFile' | 'lineOf'>> {
  const files = new Map<string, ParsedFile>()
  return {
    readFile(path) {
      const text = readText(path)
      if (text.length > textLengthMax) {
        throw new Error(`is too large: at most ${textLengthMax} characters`)
      }
      const lineCounter = new LineCounter()
      const document = parseDocument(text, { lineCounter, prettyErrors: false, logLevel: 'silent' })
      const error = document.errors[0]
      if (error !== undefined) {
        const { line } = lineCounter.linePos(error.pos[0])
        throw new Error(`line ${line} is not well-formed YAML: ${error.message}`)
      }
      files.set(path, { document, lineCounter })
      return document.toJS({ maxAliasCount: aliasesMax }) as unknown
    },

    lineOf(path, key) {
      const file = files.get(path)
      return file === undefined ? undefined : lineOf(file, key)
    },
  }
}

/** The line of the deepest part of the dotted key that is in the file. */
function lineOf({ document, lineCounter }: ParsedFile, key: string): number | undefined {
  let node: unknown = document.contents
  let rest = key
  let line: number | undefined
  while (isMap(node) && rest !== '') {
    const pair: Pair | undefined = node.items.find(({ key }) => startsWithKey(rest, key))
    if (pair === undefined || !isScalar(pair.key)) break
    line = lineCounter.linePos(pair.key.range?.[0] ?? 0).line
    rest = rest.slice(String(pair.key.value).length + 1)
    node = pair.value
  }
  return line
}

/** Keys may themselves have dots: `raft.addr: x` is `raft: {addr: x}`. */
function startsWithKey(path: string, key: unknown): boolean {
  if (!isScalar(key)) return false
  const text = String(key.value)
  return path === text || path.startsWith(`${text}.`)
}
