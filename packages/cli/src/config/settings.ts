/** What one invocation works with: flags, then environment, then the configuration file, then defaults. */
import { resolve, dirname } from 'node:path'
import { formatAddress, parseAddress } from '@cloudless/base'
import type { Environment } from '../environment.ts'
import { UsageError } from '../exit-code.ts'
import type { OutputFormat } from '../global-options.ts'
import type { Options } from '../options.ts'
import { didYouMean } from '../suggest.ts'
import { knownCoordinators, type KnownPlace } from './known-coordinators.ts'
import { configPathOf, readConfigFile, type ConfigFile, type ContextEntry } from './config-file.ts'

export interface Settings {
  /** "host:port", tried in turn; never empty. */
  readonly coordinators: readonly string[]
  /** Where what the cluster tells of its coordinators is kept; not when the address was given for this time only. */
  readonly knownPlace: KnownPlace | undefined
  readonly caFile: string | undefined
  readonly certFile: string | undefined
  readonly keyFile: string | undefined
  readonly namespace: string
  readonly contextName: string | undefined
  readonly configPath: string | undefined
  readonly output: OutputFormat
  readonly headers: boolean
  readonly requestTimeoutMs: number
  readonly verbose: boolean
}

export const coordinatorDefault = 'localhost:8080'
const portDefault = 8080

export async function loadSettings(
  options: Options,
  environment: Environment,
  workingDirectory: string,
): Promise<Settings> {
  const path = configPathOf(options.text('config'), environment, workingDirectory)
  const file = path === undefined ? undefined : await readConfigFile(path)
  const settings = resolveSettings(options, environment, workingDirectory, file)
  const { knownPlace } = settings
  if (knownPlace === undefined) return settings
  const coordinators = [...new Set([...settings.coordinators, ...knownCoordinators(knownPlace)])]
  return { ...settings, coordinators }
}

/** Pure. Throws UsageError when the context does not exist or an address is not one. */
export function resolveSettings(
  options: Options,
  environment: Environment,
  workingDirectory: string,
  file: ConfigFile | undefined,
): Settings {
  const wanted = options.text('context') ?? environment['CLOUDLESS_CONTEXT'] ?? file?.currentContext
  const entry = entryOf(file, wanted)
  const fileDirectory = file === undefined ? workingDirectory : dirname(file.path)

  const setting = (name: string): string | undefined =>
    options.text(name) ?? nonEmpty(environment[environmentName(name)])
  const pathSetting = (name: string, key: 'ca_file' | 'cert_file' | 'key_file') => {
    const named = setting(name)
    if (named !== undefined) return resolve(workingDirectory, named)
    const inFile = entry?.[key]
    return inFile === undefined ? undefined : resolve(fileDirectory, inFile)
  }

  const given = setting('coordinator')
  const isFromFile = given === undefined && entry?.coordinator !== undefined
  return {
    coordinators: parseAddresses(given ?? entry?.coordinator ?? coordinatorDefault),
    knownPlace: isFromFile ? { configPath: file!.path, contextName: wanted } : undefined,
    caFile: pathSetting('ca-file', 'ca_file'),
    certFile: pathSetting('cert-file', 'cert_file'),
    keyFile: pathSetting('key-file', 'key_file'),
    namespace: setting('namespace') ?? entry?.namespace ?? 'default',
    contextName: wanted,
    configPath: file?.path,
    output: (options.text('output') ?? 'table') as OutputFormat,
    headers: !options.flag('no-headers'),
    requestTimeoutMs: options.durationMs('request-timeout') ?? 30_000,
    verbose: options.flag('verbose'),
  }
}

/** "--cert-file" -> "CLOUDLESS_CERT_FILE". */
export function environmentName(optionName: string): string {
  return `CLOUDLESS_${optionName.toUpperCase().replaceAll('-', '_')}`
}

function entryOf(
  file: ConfigFile | undefined,
  wanted: string | undefined,
): Omit<ContextEntry, 'name'> | undefined {
  if (wanted === undefined) return file?.flat
  const found = file?.contexts.find((context) => context.name === wanted)
  if (found !== undefined) return found
  const names = file?.contexts.map((context) => context.name) ?? []
  const where =
    file === undefined
      ? 'there is no configuration file'
      : `${file.path} has ${names.length === 0 ? 'none' : names.join(', ')}`
  throw new UsageError(`there is no context "${wanted}": ${where}.${didYouMean(wanted, names)}`)
}

function nonEmpty(text: string | undefined): string | undefined {
  return text === '' ? undefined : text
}

/** "a:1, b" -> ["a:1", "b:8080"]. An IPv6 address with a port stands in brackets. */
export function parseAddresses(text: string): string[] {
  const addresses = text
    .split(',')
    .map((address) => address.trim())
    .filter((address) => address !== '')
  if (addresses.length === 0) throw new UsageError('--coordinator must be HOST:PORT.')
  return addresses.map((address) => {
    const bare = address.replace(/^https:\/\//, '').replace(/\/+$/, '')
    const parsed = parseAddress(bare) ?? parseAddress(`${bare}:${portDefault}`)
    if (parsed === undefined || parsed.host === '') {
      throw new UsageError(`--coordinator must be HOST:PORT, not "${address}".`)
    }
    return formatAddress(parsed)
  })
}
