/**
 * From a YAML (or JSON) document to plain values under the schema's keys, remembering where each came from.
 *
 * It walks document and schema together: keys in camelCase become snake_case only where the schema names them (never in
 * maps such as env or labels), unknown keys are refused, and text is kept as it was written (`PORT: 8080` and `1.10` in a map
 * of texts, `0400` as a mode). Aliases are followed while counting, so a small file cannot grow into a large one.
 */
import { suggestion } from '@cloudless/base'
import { isAlias, isMap, isScalar, isSeq, type Document, type LineCounter, type Node } from 'yaml'
import type { z } from 'zod'
import { formatFieldPath, problemsMax, quoted, type FieldPath } from '../workload/problem.ts'
import { manifestLimits } from './schema.ts'

export interface ManifestProblem {
  /** `spec.ports[0].container_port`; empty when it concerns the whole document. */
  readonly path: string
  /** As given to the parser. */
  readonly fileName: string
  /** From 1. */
  readonly line: number
  readonly column: number
  readonly message: string
}

/** What a part of the parser finds: the file's name is the parser's to add. */
export type FoundProblem = Omit<ManifestProblem, 'fileName'>

export interface Location {
  readonly line: number
  readonly column: number
}

export interface ReadDocument {
  readonly value: unknown
  readonly problems: FoundProblem[]
  /** Where the value at `path` is, or else what is nearest around it. */
  locate(path: FieldPath): Location
}

export function readDocument(
  document: Document,
  schema: z.ZodType,
  lineCounter: LineCounter,
): ReadDocument {
  const reader = new DocumentReader(document, lineCounter)
  const value = reader.read(document.contents, schema, [])
  return { value, problems: reader.problems, locate: (path) => reader.locate(path) }
}

class DocumentReader {
  readonly problems: FoundProblem[] = []
  readonly #document: Document
  readonly #lineCounter: LineCounter
  readonly #locations = new Map<string, Location>()
  #values = 0

  constructor(document: Document, lineCounter: LineCounter) {
    this.#document = document
    this.#lineCounter = lineCounter
  }

  locate(path: FieldPath): Location {
    for (let length = path.length; length >= 0; length--) {
      const location = this.#locations.get(keyOf(path.slice(0, length)))
      if (location !== undefined) return location
    }
    return this.#locationOf(this.#document.contents)
  }

  read(written: unknown, schema: z.ZodType | undefined, path: FieldPath): unknown {
    const node = isAlias(written) ? written.resolve(this.#document) : (written as Node | null)
    if (!this.#locations.has(keyOf(path))) this.#note(path, written)
    if (node === undefined) return this.#refuse(path, 'refers to an anchor that is not there')
    if (++this.#values > manifestLimits.valuesMax) {
      return this.#refuseOnce([], `has more than ${manifestLimits.valuesMax} values`)
    }
    if (path.length > manifestLimits.nestingMax) {
      return this.#refuseOnce(
        path.slice(0, 2),
        `is nested deeper than ${manifestLimits.nestingMax} levels`,
      )
    }
    if (isMap(node)) return this.#readMap(node.items, bare(schema), path)
    if (isSeq(node)) return this.#readList(node.items, bare(schema), path)
    if (isScalar(node) && typeof node.value === 'string' && !node.value.isWellFormed()) {
      return this.#refuse(path, 'is not valid Unicode')
    }
    return isScalar(node) ? scalarOf(node.value, node.source, bare(schema)) : undefined
  }

  #readMap(
    pairs: readonly { readonly key: unknown; readonly value: unknown }[],
    schema: z.ZodType | undefined,
    path: FieldPath,
  ): unknown {
    const { shape, valueType } = definitionOf(schema)
    const known = new Map(shape && Object.keys(shape).flatMap((key) => spellingsOf(key)))
    const entries = new Map<string, unknown>()
    for (const pair of pairs) {
      const written = keyTextOf(pair.key)
      if (written === undefined) {
        this.#refuse(path, 'has a key that is no text', pair.key)
        continue
      }
      const key = shape === undefined ? written : known.get(written)
      if (key === undefined) {
        const full = this.problems.length >= problemsMax
        const hint = full ? '' : suggestion(written, Object.keys(shape!))
        this.#refuse([...path, written], `is not a known key${hint}`, pair.key)
        continue
      }
      if (entries.has(key)) {
        this.#refuse([...path, key], `is given twice (${quoted(written)})`, pair.key)
        continue
      }
      this.#note([...path, key], pair.key)
      const value = this.read(pair.value, shape?.[key] ?? valueType, [...path, key])
      // Nothing after the colon is the same as no key at all, except in a map of texts.
      if (value === null && shape === undefined) entries.set(key, '')
      else if (value !== null && value !== undefined) entries.set(key, value)
    }
    return Object.fromEntries(entries)
  }

  #readList(items: readonly unknown[], schema: z.ZodType | undefined, path: FieldPath): unknown {
    const { element } = definitionOf(schema)
    return items.map((item, index) => this.read(item, element, [...path, index]))
  }

  #refuse(path: FieldPath, message: string, at?: unknown): undefined {
    if (this.problems.length >= problemsMax) return undefined
    const location = at === undefined ? this.locate(path) : this.#locationOf(at)
    this.problems.push({ path: formatFieldPath(path), ...location, message })
    return undefined
  }

  /** For limits: once over, everything is. */
  #refuseOnce(path: FieldPath, message: string): undefined {
    if (!this.problems.some((problem) => problem.message === message)) this.#refuse(path, message)
    return undefined
  }

  #note(path: FieldPath, node: unknown): void {
    this.#locations.set(keyOf(path), this.#locationOf(node))
  }

  #locationOf(node: unknown): Location {
    const range = (node as Node | null | undefined)?.range
    const { line, col } = this.#lineCounter.linePos(range?.[0] ?? this.#document.range?.[0] ?? 0)
    return { line: Math.max(1, line), column: Math.max(1, col) }
  }
}

/** A leading zero makes a number octal to some and decimal to others: it stays text, and the schema decides. */
function scalarOf(
  value: unknown,
  source: string | undefined,
  schema: z.ZodType | undefined,
): unknown {
  if (typeof value === 'bigint') return Number(value)
  if (typeof value !== 'number' && typeof value !== 'boolean') return value
  if (schema?.def.type === 'string' && source !== undefined) return source
  return source !== undefined && /^0\d/.test(source) ? source : value
}

function keyTextOf(key: unknown): string | undefined {
  if (!isScalar(key)) return undefined
  if (typeof key.value === 'string') return key.value
  return key.value === null ? undefined : (key.source ?? String(key.value))
}

function keyOf(path: FieldPath): string {
  return JSON.stringify(path)
}

/** `container_port` is written so, or `containerPort`. */
function spellingsOf(key: string): readonly (readonly [string, string])[] {
  return [
    [key, key],
    [key.replaceAll(/_([a-z])/g, (_, letter: string) => letter.toUpperCase()), key],
  ]
}

// What the schema says about a place. Zod's classes are told apart by `def.type`.

interface SchemaDefinition {
  readonly type: string
  readonly innerType?: z.ZodType
  readonly shape?: Readonly<Record<string, z.ZodType>>
  readonly element?: z.ZodType
  readonly valueType?: z.ZodType
}

function definitionOf(schema: z.ZodType | undefined): SchemaDefinition {
  return (schema?.def ?? { type: 'unknown' }) as unknown as SchemaDefinition
}

function bare(schema: z.ZodType | undefined): z.ZodType | undefined {
  const { type, innerType } = definitionOf(schema)
  return type === 'optional' && innerType !== undefined ? bare(innerType) : schema
}
