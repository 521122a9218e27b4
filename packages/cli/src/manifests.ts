/** Manifests from files, directories and stdin. Every problem of every file is reported at once. */
import type { Workload } from '@cloudless/api'
import { formatManifestProblem, parseManifests } from '@cloudless/api/manifest'
import { CloudlessError, messageOf, systemCodeOf } from '@cloudless/base'
import { readdirSync, readFileSync, statSync } from 'node:fs'
import { join, resolve } from 'node:path'
import type { CommandContext } from './command.ts'
import { inputBytesMax, type Io } from './io.ts'
import { UsageError } from './exit-code.ts'

export interface ManifestDocument {
  readonly workload: Workload
  /** "web.yaml:12". */
  readonly origin: string
}

const manifestName = /\.(ya?ml|json)$/

/**
 * Workloads in the order of the files, directories sorted by name. A workload without a namespace gets the context's.
 * Throws CloudlessError: invalid_argument listing every problem with file, line and path; not_found for a file that
 * is not there.
 */
export async function readManifests(
  context: CommandContext,
  paths: readonly string[],
  recursive: boolean,
): Promise<ManifestDocument[]> {
  if (paths.length === 0) throw new UsageError('name a manifest with -f FILE, -f DIR or -f -')
  const files = paths.flatMap((path) =>
    path === '-' ? ['-'] : filesOf(context.workingDirectory, path, recursive),
  )
  const problems: string[] = []
  const documents: ManifestDocument[] = []
  for (const file of files) {
    const shown = file === '-' ? 'stdin' : file
    const text = file === '-' ? await readInput(context.io) : readFile(context, file)
    const parsed = parseManifests(text, { fileName: shown })
    if (parsed.kind === 'invalid') {
      problems.push(...parsed.problems.map(formatManifestProblem))
      continue
    }
    for (const { workload, line } of parsed.documents) {
      documents.push({
        workload: { ...workload, namespace: workload.namespace || context.settings.namespace },
        origin: `${shown}:${line}`,
      })
    }
  }
  if (problems.length > 0) {
    const count = problems.length === 1 ? 'one problem' : `${problems.length} problems`
    const found = [...problems, `Nothing was sent: ${count} in the manifests.`]
    throw new CloudlessError('invalid_argument', found.join('\n'))
  }
  if (documents.length === 0) throw new UsageError(`${paths.join(', ')}: no manifest in there.`)
  return documents
}

async function readInput(io: Io): Promise<string> {
  if (io.inputIsTerminal) io.err('Reading a manifest from the terminal; end it with Ctrl-D.\n')
  return await io.readAllInput()
}

function filesOf(workingDirectory: string, path: string, recursive: boolean): string[] {
  const absolute = resolve(workingDirectory, path)
  if (!isDirectory(absolute, path)) return [path]
  const entries = readdirSync(absolute, { withFileTypes: true }).sort((a, b) =>
    a.name < b.name ? -1 : 1,
  )
  return entries.flatMap((entry) => {
    const inside = join(path, entry.name)
    if (entry.isDirectory()) return recursive ? filesOf(workingDirectory, inside, true) : []
    return manifestName.test(entry.name) ? [inside] : []
  })
}

function isDirectory(absolute: string, shown: string): boolean {
  try {
    return statSync(absolute).isDirectory()
  } catch (reason) {
    throw unreadable(shown, reason)
  }
}

function readFile(context: CommandContext, path: string): string {
  try {
    const absolute = resolve(context.workingDirectory, path)
    const size = statSync(absolute).size
    if (size > inputBytesMax) {
      throw new UsageError(`${path} is larger than ${inputBytesMax} bytes: not a manifest.`)
    }
    return readFileSync(absolute, 'utf8')
  } catch (reason) {
    throw reason instanceof UsageError ? reason : unreadable(path, reason)
  }
}

function unreadable(path: string, reason: unknown): CloudlessError {
  if (systemCodeOf(reason) === 'ENOENT') {
    return new CloudlessError('not_found', `there is no file ${path}.`)
  }
  return CloudlessError.from(reason, `could not read ${path} (${messageOf(reason)})`)
}
