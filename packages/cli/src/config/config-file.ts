/**
 * The CLI's configuration file: contexts, or the same keys flat for a single cluster.
 *
 *     current_context: home
 *     contexts:
 *       - name: home
 *         coordinator: 10.88.0.1:8080
 *         ca_file: operator/ca.pem
 *         cert_file: operator/cert.pem
 *         key_file: operator/key.pem
 *         namespace: default
 */
import { CloudlessError, messageOf, systemCodeOf } from '@cloudless/base'
import { existsSync, readFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { join, resolve } from 'node:path'
import type { Environment } from '../environment.ts'
import { UsageError } from '../exit-code.ts'
import { didYouMean } from '../suggest.ts'

export interface ContextEntry {
  readonly name: string
  readonly coordinator?: string
  readonly ca_file?: string
  readonly cert_file?: string
  readonly key_file?: string
  readonly namespace?: string
}

export interface ConfigFile {
  /** Absolute; relative paths inside are relative to its directory. */
  readonly path: string
  readonly currentContext?: string
  readonly contexts: readonly ContextEntry[]
  /** Keys given flat, for files without contexts. */
  readonly flat: Omit<ContextEntry, 'name'>
}

const entryKeys = ['coordinator', 'ca_file', 'cert_file', 'key_file', 'namespace'] as const
const fileKeys = ['current_context', 'contexts', ...entryKeys]

/** Where the file is looked for, in order; a path that was named must exist, the others may be absent. */
export function configPathOf(
  flag: string | undefined,
  environment: Environment,
  workingDirectory: string,
): string | undefined {
  const named = flag ?? environment['CLOUDLESS_CONFIG']
  if (named !== undefined && named !== '') return resolve(workingDirectory, named)
  return configPathCandidates(environment, workingDirectory).find((path) => existsSync(path))
}

/** The places of an unnamed configuration, first come first served. */
export function configPathCandidates(environment: Environment, workingDirectory: string): string[] {
  const home = environment['CLOUDLESS_HOME']
  return [
    ...(home ? [resolve(workingDirectory, home, 'config.yaml')] : []),
    join(workingDirectory, '.cloudless', 'config.yaml'),
    join(environment['HOME'] ?? homedir(), '.cloudless', 'config.yaml'),
  ]
}

/** Throws UsageError when it cannot be read or holds something unknown. */
export async function readConfigFile(path: string): Promise<ConfigFile> {
  let text: string
  try {
    text = readFileSync(path, 'utf8')
  } catch (reason) {
    if (systemCodeOf(reason) === 'ENOENT') {
      throw new UsageError(`there is no configuration file at ${path}.`)
    }
    throw CloudlessError.from(reason, `could not read the configuration file ${path}`)
  }
  const { parse } = await import('yaml')
  let document: unknown
  try {
    document = parse(text, { maxAliasCount: 10 }) ?? {}
  } catch (reason) {
    throw new UsageError(`${path} is not YAML: ${messageOf(reason).split('\n')[0]}`)
  }
  return toConfigFile(path, document)
}

function toConfigFile(path: string, document: unknown): ConfigFile {
  const top = asMapping(document, path)
  refuseUnknownKeys(top, fileKeys, path)
  const list = top['contexts'] ?? []
  if (!Array.isArray(list)) throw new UsageError(`${path}: contexts must be a list.`)
  const contexts = list.map((entry: unknown, index) => {
    const at = `${path}: contexts[${index}]`
    const mapping = asMapping(entry, at)
    refuseUnknownKeys(mapping, ['name', ...entryKeys], at)
    if (typeof mapping['name'] !== 'string' || mapping['name'] === '') {
      throw new UsageError(`${at}: name must be a text.`)
    }
    return { name: mapping['name'], ...entryOf(mapping, at) }
  })
  const current = top['current_context']
  if (current !== undefined && typeof current !== 'string') {
    throw new UsageError(`${path}: current_context must be a text.`)
  }
  return {
    path,
    ...(current === undefined ? {} : { currentContext: current }),
    contexts,
    flat: entryOf(top, path),
  }
}

function entryOf(mapping: Record<string, unknown>, at: string): Omit<ContextEntry, 'name'> {
  const entry: Record<string, string> = {}
  for (const key of entryKeys) {
    const value = mapping[key]
    if (value === undefined || value === null) continue
    if (typeof value !== 'string') throw new UsageError(`${at}: ${key} must be a text.`)
    entry[key] = value
  }
  return entry
}

function asMapping(value: unknown, at: string): Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new UsageError(`${at} must hold keys and values.`)
  }
  return value as Record<string, unknown>
}

function refuseUnknownKeys(
  mapping: Record<string, unknown>,
  known: readonly string[],
  at: string,
): void {
  for (const key of Object.keys(mapping)) {
    if (!known.includes(key)) {
      throw new UsageError(`${at}: there is no setting "${key}".${didYouMean(key, known)}`)
    }
  }
}
