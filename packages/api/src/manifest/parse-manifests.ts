/** Reads files of manifests: YAML or JSON, any number of documents. Never throws for what is in the text. */
import { create } from '@bufbuild/protobuf'
import { messageOf } from '@cloudless/base'
import { isScalar, LineCounter, parseAllDocuments, type Document } from 'yaml'
import type { z } from 'zod'
import {
  WorkloadSchema,
  WorkloadSpecSchema,
  type Workload,
  type WorkloadSpec,
} from '../gen/cloudless/v1/workload_pb.ts'
import { formatFieldPath, problemsMax, type FieldPath } from '../workload/problem.ts'
import { validateWorkload } from '../workload/validate-workload.ts'
import { messageFrom } from './convert.ts'
import {
  readDocument,
  type FoundProblem,
  type ManifestProblem,
  type ReadDocument,
} from './read-document.ts'
import { manifestLimits, manifestSchema, type Manifest } from './schema.ts'
import { shapeProblemMessage } from './shape-problem.ts'

export interface ManifestDocument {
  /** As written, without defaults but for one replica when it does not say how many. */
  readonly workload: Workload
  /** Where the document starts, from 1. */
  readonly line: number
}

export type ParsedManifests =
  | { readonly kind: 'ok'; readonly documents: readonly ManifestDocument[] }
  /** Nothing is to be applied. In the order of the file, at most 100. */
  | { readonly kind: 'invalid'; readonly problems: readonly ManifestProblem[] }

export interface ParseManifestsOptions {
  /** Named in problems; "manifest" when not given. */
  readonly fileName?: string
}

/** Documents without content (comments, "---") are skipped; a file with nothing in it is a problem. */
export function parseManifests(text: string, options: ParseManifestsOptions = {}): ParsedManifests {
  const { documents, problems } = parseFile(text)
  if (problems.length === 0) return { kind: 'ok', documents }
  const fileName = options.fileName ?? 'manifest'
  const ordered = problems.toSorted((a, b) => a.line - b.line || a.column - b.column)
  const named = ordered.slice(0, problemsMax).map((problem) => ({ ...problem, fileName }))
  return { kind: 'invalid', problems: named }
}

/** "web.yaml:12:5: spec.replicas must be a number". */
export function formatManifestProblem(problem: ManifestProblem): string {
  const { fileName, line, column, path, message } = problem
  return `${fileName}:${line}:${column}: ${path === '' ? 'the document' : path} ${message}`
}

interface FileContent {
  readonly documents: readonly ManifestDocument[]
  readonly problems: readonly FoundProblem[]
}

function parseFile(text: string): FileContent {
  const bytes = Buffer.byteLength(text)
  if (bytes > manifestLimits.fileBytesMax) {
    return wholeFile(`is too large: ${bytes} bytes, at most ${manifestLimits.fileBytesMax}`)
  }
  const lineCounter = new LineCounter()
  const parsed = parseYaml(text, lineCounter)
  if (typeof parsed === 'string') return wholeFile(parsed)

  const contents = parsed.map((document) => parseDocument(document, lineCounter))
  const documents = contents.flatMap((content) => content.documents)
  const problems = contents.flatMap((content) => content.problems)
  if (documents.length === 0 && problems.length === 0) return wholeFile('has no manifest in it')
  return { documents, problems }
}

function parseYaml(text: string, lineCounter: LineCounter): Document[] | string {
  const depthProblem = problemWithNesting(text)
  if (depthProblem !== undefined) return depthProblem
  try {
    // The library looks for repeated keys by comparing each with each; readDocument does it in one pass.
    const parsed = parseAllDocuments(text, {
      lineCounter,
      prettyErrors: false,
      uniqueKeys: false,
      logLevel: 'silent',
    })
    const documents = Array.isArray(parsed) ? parsed : []
    return documents.length <= manifestLimits.documentsMax
      ? documents
      : `has ${documents.length} documents, at most ${manifestLimits.documentsMax} are read`
  } catch (reason) {
    // The parser recurses: nesting that the check above cannot see ends in a RangeError, and nowhere else.
    return `cannot be read: ${messageOf(reason)}`
  }
}

/**
 * Brackets that are never closed make the parser slow and deep long before a document could be looked at. Counting them
 * without regard to quotation marks can only count too many, so the limit here is generous.
 */
function problemWithNesting(text: string): string | undefined {
  let depth = 0
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at)
    if (code === 0x5b || code === 0x7b) depth++
    else if (code === 0x5d || code === 0x7d) depth = Math.max(0, depth - 1)
    if (depth > bracketsMax) return `is nested deeper than ${manifestLimits.nestingMax} levels`
  }
  return undefined
}

const bracketsMax = 10 * manifestLimits.nestingMax

function syntaxProblems(document: Document, lineCounter: LineCounter): FoundProblem[] {
  const [from, , to] = document.range ?? [0, 0, 0]
  if (to - from > manifestLimits.documentBytesMax) {
    const message = `is too large: at most ${manifestLimits.documentBytesMax} characters`
    return [{ path: '', line: lineCounter.linePos(from).line, column: 1, message }]
  }
  return document.errors.slice(0, problemsMax).map((error) => {
    const { line, col } = lineCounter.linePos(error.pos[0])
    // The library recurses, and reports an exhausted stack as an error of the text.
    const message = error.message.includes('call stack')
      ? `is nested deeper than ${manifestLimits.nestingMax} levels`
      : `is not well-formed: ${error.message}`
    return { path: '', line, column: col, message }
  })
}

function parseDocument(document: Document, lineCounter: LineCounter): FileContent {
  const syntax = syntaxProblems(document, lineCounter)
  if (syntax.length > 0 || isEmpty(document)) return { documents: [], problems: syntax }

  const read = readDocument(document, manifestSchema, lineCounter)
  const shape = manifestSchema.safeParse(read.value)
  const found = shape.success ? [] : shape.error.issues.map((issue) => shapeProblem(issue, read))
  if (!shape.success || read.problems.length > 0) {
    return { documents: [], problems: [...read.problems, ...found] }
  }

  const workload = workloadFrom(shape.data)
  const problems = validateWorkload(workload).map(({ path, message }) => {
    const inManifest = manifestPathOf(path)
    return { path: formatFieldPath(inManifest), ...read.locate(inManifest), message }
  })
  return { documents: [{ workload, line: read.locate([]).line }], problems }
}

/** Nothing but comments, or "---". */
function isEmpty({ contents }: Document): boolean {
  return contents === null || (isScalar(contents) && contents.value === null)
}

function shapeProblem(issue: z.core.$ZodIssue, read: ReadDocument): FoundProblem {
  const path = issue.path as FieldPath
  return { path: formatFieldPath(path), ...read.locate(path), message: shapeProblemMessage(issue) }
}

function workloadFrom({ metadata, spec }: Manifest): Workload {
  return create(WorkloadSchema, {
    name: metadata.name,
    namespace: metadata.namespace ?? '',
    labels: metadata.labels ?? {},
    annotations: metadata.annotations ?? {},
    spec: messageFrom(WorkloadSpecSchema, { ...replicasDefaultOf(spec), ...spec }) as WorkloadSpec,
  })
}

/** Of other kinds than services the number follows from something else. */
function replicasDefaultOf({ type }: Manifest['spec']): { readonly replicas?: number } {
  const isService = type === undefined || type.toUpperCase() === 'SERVICE'
  return isService ? { replicas: 1 } : {}
}

/** `spec.restartPolicy.backoffMs` is written `spec.restart_policy.backoff`, and `name` under metadata. */
function manifestPathOf(path: FieldPath): FieldPath {
  const inMap = path.findIndex((part, index) => index > 0 && mapFields.has(String(path[index - 1])))
  const parts = path.map((part, index) => {
    if (typeof part === 'number' || (inMap >= 0 && index >= inMap)) return part
    return part.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`).replace(/_ms$/, '')
  })
  return path[0] === 'spec' ? parts : ['metadata', ...parts]
}

/** Below these, keys are the user's own. */
const mapFields: ReadonlySet<string> = new Set([
  'labels',
  'annotations',
  'env',
  'nodeSelector',
  'matchLabels',
  'options',
  'sysctls',
  'keyToEnv',
  'keyToFile',
])

function wholeFile(message: string): FileContent {
  return { documents: [], problems: [{ path: '', line: 1, column: 1, message }] }
}
