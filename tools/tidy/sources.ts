/** The project's own files, as the house rules look at them: what git tracks or would track. */
import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

export const root = join(import.meta.dirname, '..', '..')

export interface SourceFile {
  /** From the root, with forward slashes. */
  readonly path: string
  readonly text: string
}

/** Files whose path matches, generated code and the lockfile aside. */
export function sourceFiles(pattern: RegExp): SourceFile[] {
  const listed = execFileSync('git', ['ls-files', '--cached', '--others', '--exclude-standard'], {
    cwd: root,
    encoding: 'utf8',
    maxBuffer: 16 * 1024 * 1024,
  })
  return listed
    .split('\n')
    .filter((path) => pattern.test(path) && !/(^|\/)gen\//.test(path))
    .filter((path) => path !== 'package-lock.json' && existsSync(join(root, path)))
    .map((path) => ({ path, text: readFileSync(join(root, path), 'utf8') }))
}

export interface Manifest {
  /** Folder from the root: "packages/base", "test". */
  readonly folder: string
  readonly name: string
  readonly version: string
  readonly license: string
  /** Public paths: "." and such as "./testkit". */
  readonly exports: Readonly<Record<string, string>>
  readonly dependencies: Readonly<Record<string, string>>
  readonly devDependencies: Readonly<Record<string, string>>
  readonly optionalDependencies: Readonly<Record<string, string>>
}

/** Every package.json of the project; the root's has the folder "". */
export function manifests(): Manifest[] {
  return sourceFiles(/(^|\/)package\.json$/).map(({ path, text }) => {
    const content = JSON.parse(text) as Partial<Manifest>
    return {
      folder: path.replace(/\/?package\.json$/, ''),
      name: content.name ?? '',
      version: content.version ?? '',
      license: content.license ?? '',
      exports: content.exports ?? {},
      dependencies: content.dependencies ?? {},
      devDependencies: content.devDependencies ?? {},
      optionalDependencies: content.optionalDependencies ?? {},
    }
  })
}

export interface Import {
  readonly file: string
  readonly specifier: string
}

/** Every module named by an import or export, static or dynamic. */
export function importsOf(file: SourceFile): Import[] {
  const code = file.text.replace(/^\s*(\/\/|\*|\/\*).*$/gm, '')
  const statements = code.matchAll(
    /(?:^|\n)\s*(?:import|export)\b[^'"`;]*?from\s*['"]([^'"]+)['"]|(?:^|\n)import\s*['"]([^'"]+)['"]|\bimport\(\s*['"]([^'"]+)['"]/g,
  )
  return [...statements].map((match) => ({
    file: file.path,
    specifier: (match[1] ?? match[2] ?? match[3])!,
  }))
}
